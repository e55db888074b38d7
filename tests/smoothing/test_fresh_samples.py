"""A procedure that would use its samples twice is refused: a bound needs samples that nothing else has used."""

import pytest
import torch

from smoothing import Certifier, Gaussian, SettingError, SmoothedClassifier
from smoothing.base_function import FrozenFunction
from smoothing.combining import combining
from smoothing.engine import Engine
from smoothing.sampling import Samples, whole
from smoothing.smoothed_classifier import Voting
from smoothing.streams import Stage, Stream

X, NOISE = torch.zeros(3), Gaussian(1.0)


def samples(count=100, first=0, stage=Stage.SELECTION, x=X, noise=NOISE):
    return Samples(x, noise, whole, Stream(0, 5, stage), count, first)


def asking(*rounds):
    answered = 0
    for requests in rounds:
        answered += len((yield requests)) > 0
    return answered


def ways():
    def alone(procedure):
        return Engine(FrozenFunction(lambda batch: batch), 32).run(procedure)

    def beside_another(procedure):
        return alone(combining([procedure, asking([samples()])]))[0]

    return [alone, beside_another]


@pytest.mark.parametrize("run", ways(), ids=lambda run: run.__name__)
@pytest.mark.parametrize(
    ("rounds", "said"),
    [
        ([[samples()], [samples()]], "0 to 99 of stage SELECTION"),
        ([[samples(), samples()]], "0 to 99 of stage SELECTION"),
        ([[samples()], [samples(1000)]], "0 to 99"),
        ([[samples(1000)], [samples(10, first=500)]], "500 to 509"),
        ([[samples(100, first=0)], [samples(100, first=100)], [samples(2, first=99)]], "99 to 100"),
        ([[samples(100, first=200)], [samples(100)], [samples(100, first=250)]], "250 to 299"),
        ([[samples()], [samples(noise=Gaussian(2.0))]], "0 to 99"),
    ],
)
def test_samples_that_are_used_twice_are_refused(run, rounds, said):
    with pytest.raises(SettingError, match=f"certifier: samples {said}.* were requested already; .*another stage"):
        run(asking(*rounds))


@pytest.mark.parametrize("run", ways(), ids=lambda run: run.__name__)
@pytest.mark.parametrize(
    "rounds",
    [
        [[samples()], [samples(stage=Stage.ESTIMATION)]],
        [[samples(), samples(stage=Stage.ESTIMATION)]],
        [[samples(64, first=64 * k)] for k in range(20)],
        [[samples(100, first=100)], [samples(100)], [samples(100, first=200)]],
        [[samples(0)], [samples(100)], [samples(0, first=50)]],
        [[samples()], [samples(x=torch.ones(3))]],  # of an attacked input
    ],
)
def test_fresh_samples_are_not(run, rounds):
    assert run(asking(*rounds)) == len(rounds)


def test_a_certifier_of_many_small_steps_notes_one_range():
    steps = [[samples(1, first=k)] for k in range(3000)]
    assert Engine(FrozenFunction(lambda batch: batch), 32).run(asking(*steps)) == 3000


def test_two_examples_and_two_calls_may_use_the_same_samples():
    g = SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), NOISE)
    assert g.certify(torch.ones(1), n=500, example=3) == g.certify(torch.ones(1), n=500, example=3)


def test_a_certifier_that_bounds_the_class_with_the_samples_that_selected_it():
    class Mine(Voting, Certifier):
        samples = 200

        def procedure(self, x, example, label):
            for _ in range(2):
                yield [self.request(x, 100, example, Stage.SELECTION)]

    mine = Mine(lambda x: torch.cat([x, -x], dim=1), NOISE)
    with pytest.raises(SettingError, match="samples 0 to 99 of stage SELECTION") as error:
        mine.engine.run(mine.procedure(torch.ones(1), 0, 0))
    assert "\n" not in str(error.value)
