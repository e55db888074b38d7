"""A procedure that would use its samples twice is refused: a bound needs samples that nothing else has used."""

import dataclasses

import pytest
import torch

from smoothing import Attack, Certifier, ConformalAttack, Gaussian, SettingError, SmoothedClassifier
from smoothing.base_function import FrozenFunction
from smoothing.combining import combining
from smoothing.engine import Engine
from smoothing.sampling import Drawn, Samples, whole
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
        ([[samples()], [samples(x=X.clone())]], "0 to 99"),
        ([[samples(100, first=50)], [samples(x=X.clone())]], "50 to 99"),
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
        [[samples()], [samples(x=X.double())]],
        [[samples()], [samples(x=torch.zeros(1, 3))]],
        [[samples()], [samples(x=X.clone(), first=100)], [samples(first=200)]],
    ],
)
def test_fresh_samples_are_not(run, rounds):
    assert run(asking(*rounds)) == len(rounds)


def test_a_certifier_of_many_small_steps_notes_one_range():
    steps = [[samples(1, first=k)] for k in range(3000)]
    assert Engine(FrozenFunction(lambda batch: batch), 32).run(asking(*steps)) == 3000


def test_inputs_are_compared_only_where_samples_overlap(monkeypatch):
    compared = []
    monkeypatch.setattr(torch, "equal", lambda *both: compared.append(both))
    drawn = Drawn()
    drawn.require_fresh([samples(), samples(x=X.clone(), first=100), samples(x=X.clone(), stage=Stage.ESTIMATION)])
    assert not compared
    drawn.require_fresh([samples(x=torch.ones(3), first=99)])
    assert len(compared) == 2


SHORT = {"steps": 1, "step_size": 1e-3, "n": 100}  # within each radius, an attack ends at the same input


@pytest.mark.parametrize(
    "attack",
    [
        lambda f: Attack(f, Gaussian(0.5), factors=[0.5, 1.0], samples=10, **SHORT),
        lambda f: ConformalAttack(f, Gaussian(0.5), radii=[0.05, 0.1], copies=10, alpha=0.5, held_out=9, **SHORT),
    ],
)
def test_an_attack_that_finds_the_same_input_twice_draws_its_samples_once(attack):
    certifier = attack(lambda x: torch.cat([x, -x], dim=1))
    if isinstance(certifier, ConformalAttack):
        certifier.calibrate([{"score": 0.4, "base_score": 0.4}] * 9)
    procedure, requests = certifier.procedure(torch.ones(1), 0, 0), []

    def noted(answer=None):
        for _ in range(10):
            try:
                requests.append(procedure.send(answer))
            except StopIteration as end:
                return end.value
            answer = yield requests[-1]

    one, other = certifier.engine.run(noted())
    assert len(requests) == (2 if isinstance(certifier, Attack) else 1)
    assert dataclasses.replace(one, **{certifier.case: 0.0}) == dataclasses.replace(other, **{certifier.case: 0.0})


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
