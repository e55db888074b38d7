"""Procedures side by side: what is the same is evaluated once, and nothing else is taken for the same."""

import pytest
import torch

from smoothing import BaseFunctionError, Gaussian, SettingError
from smoothing.base_function import FrozenFunction
from smoothing.combining import combining
from smoothing.engine import Engine
from smoothing.sampling import Samples, whole
from smoothing.streams import Stage, Stream

X, OTHER_X = torch.zeros(3), torch.ones(3)
NOISE, OTHER_NOISE = Gaussian(1.0), Gaussian(2.0)
STREAM = Stream(0, 5, Stage.CENTER)


def asking(*rounds):
    """A procedure that asks for one request a round and returns all outputs of each."""
    found = []
    for request in rounds:
        (answers,) = yield [request]
        found.append(torch.cat(answers))
    return found


def samples(x=X, noise=NOISE, stream=STREAM, count=70, first=0):
    return Samples(x, noise, whole, stream, count, first)


def run(*procedures):
    seen = []
    engine = Engine(FrozenFunction(lambda batch: batch), 32, seen.append)
    return engine.run(combining(procedures)), sum(seen)


def test_a_procedure_without_yield_is_named():
    with pytest.raises(
        SettingError, match=r"certifier\.procedure: expected a generator, got tuple; yield the requests"
    ):
        run((1, 2))


def test_the_same_samples_are_evaluated_once():
    (one, other), evaluated = run(asking(samples()), asking(samples()))
    assert evaluated == 70
    assert torch.equal(one[0], other[0])


@pytest.mark.parametrize(
    "other",
    [
        samples(x=OTHER_X),
        samples(noise=OTHER_NOISE),
        samples(stream=Stream(0, 5, Stage.FRESH_CHECK)),
        samples(stream=Stream(0, 6, Stage.CENTER)),
        samples(count=50),
        samples(first=64),
    ],
    ids=["x", "noise", "stage", "example", "count", "first"],
)
def test_what_differs_is_not_shared(other):
    (one, second), evaluated = run(asking(samples()), asking(other))
    assert evaluated == 70 + other.count
    (alone,), _ = run(asking(other))
    assert torch.equal(second[0], alone[0])
    assert not torch.equal(one[0], second[0])


def test_one_that_ends_early_leaves_the_others_to_go_on():
    later = samples(stream=Stream(0, 5, Stage.CERTIFICATION))
    (short, nothing, long), evaluated = run(asking(samples()), asking(), asking(samples(), later))
    assert (len(short), len(nothing), len(long), evaluated) == (1, 0, 2, 140)


def test_an_error_of_one_is_raised():
    def failing():
        yield [samples()]
        raise RuntimeError("mine")

    with pytest.raises(BaseFunctionError, match="RuntimeError: mine"):
        run(asking(samples(), samples(first=70)), failing())
