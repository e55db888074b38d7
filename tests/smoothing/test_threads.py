"""Threads that share one smoothed function, or torch's settings, get the certificates that each gets alone."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from smoothing import Gaussian, SmoothedClassifier
from smoothing.arithmetic import fixed_arithmetic

NOISE = Gaussian(sigma=0.5)
INPUTS = [torch.full((64,), sign * 0.05) for sign in (-1, 1)] * 12


class Sides(nn.Module):
    """Class 1 if the mean is above 0. The layer takes time, in which other threads run."""

    def __init__(self):
        super().__init__()
        self.slow = nn.Linear(64, 2048)

    def forward(self, batch):
        score = batch.mean(dim=1, keepdim=True) + 0 * self.slow(batch).sum(dim=1, keepdim=True)
        return torch.cat([-score, score], dim=1)


def in_threads(work):
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(work, range(len(INPUTS))))


@pytest.mark.parametrize("first", [True, False])
def test_threads_that_share_an_object_get_the_certificates_of_each_alone(first):
    """Also if the first call, which makes the fast copy of the network, is in a thread."""
    network = Sides()
    g, alone = (SmoothedClassifier(network, NOISE, batch_size=256) for _ in range(2))
    if not first:
        g.certify(INPUTS[0], n=1000, example=99)
    found = in_threads(lambda k: g.certify(INPUTS[k], n=1000, example=k))
    assert found == [alone.certify(x, n=1000, example=k) for k, x in enumerate(INPUTS)]


def test_no_two_threads_get_the_samples_of_one_example():
    class Slow(SmoothedClassifier):
        """Another thread has time to read the number before it is counted on."""

        number = 0

        @property
        def next_example(self):
            found = self.number
            time.sleep(0.002)
            return found

        @next_example.setter
        def next_example(self, number):
            self.number = number

    g = Slow(Sides(), NOISE)
    assert sorted(in_threads(lambda _: g.number_of(None))) == list(range(len(INPUTS)))


def test_examples_of_one_thread_go_on_while_another_certifies():
    g = SmoothedClassifier(Sides(), NOISE, batch_size=256)
    found = g.certify_all(INPUTS, n=1000, first=0)
    first = next(found)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: g.certify(INPUTS[0], n=1000, example=50)).result(timeout=60)
    alone = SmoothedClassifier(g.f.f, NOISE, batch_size=256)
    assert [first, *found] == list(alone.certify_all(INPUTS, n=1000, first=0))
    assert other == alone.certify(INPUTS[0], n=1000, example=50)


def test_one_thread_does_not_restore_the_settings_in_which_another_computes():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:

        def computing(_):
            with fixed_arithmetic(torch.device("cpu")):
                return {(torch.rand(100, 100) @ torch.rand(100, 100)).dtype for _ in range(20)}

        assert in_threads(computing) == [{torch.float32}] * len(INPUTS)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(before)


def test_a_smoothed_function_can_be_sent_to_another_process():
    g = SmoothedClassifier(Sides(), NOISE)
    alone = g.certify(INPUTS[0], n=1000, example=3)
    assert pickle.loads(pickle.dumps(g)).certify(INPUTS[0], n=1000, example=3) == alone
