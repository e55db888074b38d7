"""Votes of several requests, counted at once, are those of each alone."""

import math

import pytest
import torch

from smoothing import BaseFunctionError, DeterministicSplitting, SmoothedClassifier
from smoothing.votes import Votes

NAN, INF = math.nan, math.inf
SCORES = torch.tensor([[1.0, 2, 3], [3, 2, 1], [NAN, 0, 1], [2, 2, 0], [-INF, -INF, 0], [-INF] * 3, [0, INF, 1]])


@pytest.mark.parametrize("sizes", [[7], [3, 4], [1] * 7, [2, 0, 5], [4, 3, 0]])
def test_votes_of_each_request_are_its_own(sizes):
    votes = Votes(3)
    alone = [votes(rows).tolist() for rows in SCORES.split(sizes)]
    assert [counts.tolist() for counts in votes.of_each(SCORES, sizes)] == alone
    assert alone[0] == ([2, 0, 2, 3] if sizes == [7] else alone[0])


@pytest.mark.parametrize("scores", [torch.zeros(4, 2), torch.zeros(4, 3, dtype=torch.complex64), torch.zeros(4)])
def test_scores_that_are_none_are_refused(scores):
    for count in (Votes(3), lambda rows: Votes(3).of_each(rows, [1, 3])):
        with pytest.raises(BaseFunctionError, match="base classifier"):
            count(scores)


def test_images_in_one_batch_have_the_certificates_of_each_alone():
    """A batch holds parts of several images; one image has parts in two batches."""
    noise = DeterministicSplitting(sigma=0.5, levels=16, shape=(4,))
    weights = torch.randn(4, 3)

    def f(x):
        return (x - 0.5) @ weights

    images = torch.randint(0, 17, (9, 4)) / 16

    g = SmoothedClassifier(f, noise, batch_size=64)
    together = [certificate for certificate, _ in g.engine.run_all(map(g.certifying_exactly, images))]
    alone = SmoothedClassifier(f, noise, batch_size=27)
    assert together == [alone.certify_exactly(x) for x in images]
    assert len({certificate.n_a for certificate in together}) > 1
