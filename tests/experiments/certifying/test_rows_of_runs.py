"""Rows of a run depend on its own certifier, metric and example only, not on what shares a batch with them."""

import torch

from experiments.certifying.rows import Certification, rows_of_each
from smoothing import L2, CenterSmoothing, Certify, Gaussian


class Squared(L2):
    gamma = 2.0

    def _distance(self, a, b):
        return super()._distance(a, b) ** 2


class Images(dict):
    def label(self, index):
        return index % 2


class Kept(dict):
    """The same draws after RunFolder saved and loaded them."""

    def load(self, index, kind):
        return self.get(index)

    def save(self, index, draws, seconds):
        self[index] = draws, seconds


def center_runs(eps, folders):
    noise = Gaussian(0.2)
    made = [CenterSmoothing(torch.tanh, noise, m, n=200, m=100, delta=0.2, batch_size=50) for m in (L2(), Squared())]
    return [Certification(one, eps, folder) for one, folder in zip(made, folders, strict=True)]


def test_rows_of_each_metric_and_example_are_those_of_its_own_certifier():
    images, folders = Images({i: torch.full((3,), 0.1 * i) for i in range(8)}), [Kept(), Kept()]
    for eps in ([0.05], [0.1]):  # the second uses the draws that the first stored
        runs = center_runs(eps, folders)
        found = list(rows_of_each(runs, images, [2, 5], torch.device("cpu")))
        for index, each in zip([2, 5], found, strict=True):
            for run, rows in zip(runs, each, strict=True):
                (own,) = run.certifier.certify(images[index], eps, example=index)
                assert own.status == "certified"
                assert (rows[0]["index"], rows[0]["eps_out"], rows[0]["smoothing_error"]) == (
                    index,
                    own.eps_out,
                    own.smoothing_error,
                )


def test_votes_of_examples_that_share_batches_are_of_their_own_streams(monkeypatch):
    monkeypatch.setattr("experiments.certifying.rows.LabelledDataset", Images)
    images = Images({i: torch.tensor([0.05 * i, 0.0]) for i in range(6)})
    certify = Certify(lambda b: torch.cat([b, -b], dim=1), Gaussian(0.5), n0=10, n=50, batch_size=500)
    found = rows_of_each([Certification(certify, [], None)], images, range(6), torch.device("cpu"))
    for i, ((row,),) in enumerate(found):
        alone = certify(images[i], i, i % 2)
        assert (row["index"], row["label"], row["n_a"], row["guess"]) == (i, i % 2, alone.n_a, alone.guess)
