"""Votes on the device and on the CPU: the same function under the same noise, so counts have the same law."""

from collections.abc import Iterator

import torch

from experiments.benchmarks.gpu import FAILED, cases
from experiments.benchmarks.gpu.same_law import compared, p_of_counts
from smoothing import Adaptive, Certify, ExactCertify, FiniteNoise, Noise, Predict, SmoothedClassifier
from smoothing.streams import Stage

MINE, THEIRS = 0, 1  # seeds: on one device, too, the two sides have different samples
SHARE = 0.01  # of all noisy inputs, whose class may differ by rounding


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Compare the counts of every class, and those of every certifier, under every noise."""
    shape, n = (1, 8, 8), 1000 if tiny else 20_000
    network = cases.classifier()
    sides = (device, MINE), (torch.device("cpu"), THEIRS)
    p_values = {}
    for noise in cases.noises(shape):
        votes = []
        for where, seed in sides:
            g = SmoothedClassifier(network.to(where), noise, seed=seed, batch_size=500)
            votes.append(g.votes(cases.image(shape, where), n, 0, Stage.ESTIMATION).numpy())
        p_values[f"votes under {noise}"] = p_of_counts(*votes)
        for kind in (Certify, Predict, Adaptive):
            found = []
            for where, seed in sides:
                certifier = _certifier(kind, network.to(where), noise, n, seed)
                found.append(certifier(cases.image(shape, where), 0))
            mine, theirs = found
            if (mine.prediction, mine.status) != (theirs.prediction, theirs.status):
                yield f"{FAILED}{kind.__name__} under {noise}: {mine}, and {theirs} on the CPU"
            if kind is not Adaptive:  # which stops at a number of samples that depends on them
                counts = ([each.n_a, each.n - each.n_a] for each in found)
                p_values[f"{kind.__name__} under {noise}"] = p_of_counts(*counts)
        if isinstance(noise, FiniteNoise):
            yield from _exactly(network, noise, device)
    yield from compared(p_values)


def _certifier(kind: type, network: torch.nn.Module, noise: Noise, n: int, seed: int) -> Certify | Predict:
    settings = {"radius": 0.01} if kind is Adaptive else {}
    made: Certify | Predict = kind(network, noise, n=n, seed=seed, batch_size=500, **settings)
    return made


def _exactly(network: torch.nn.Module, noise: FiniteNoise, device: torch.device) -> Iterator[str]:
    """Every noisy input is the same on both devices, so at most a few votes differ, by rounding."""
    found = []
    for where in (device, torch.device("cpu")):
        x = cases.image((1, 8, 8), where)
        found.append((noise.copies(x, 0, noise.steps).cpu(), ExactCertify(network.to(where), noise)(x, 0)))
    (mine, certificate), (theirs, expected) = found  # NaN where hidden
    if not torch.equal(mine.nan_to_num(nan=-1.0), theirs.nan_to_num(nan=-1.0)):
        yield f"{FAILED}{noise}: noisy inputs differ between the devices"
    if abs(certificate.n_a - expected.n_a) > SHARE * noise.steps:
        yield f"{FAILED}ExactCertify: {certificate.n_a} votes, and {expected.n_a} on the CPU"
    yield f"ExactCertify: {certificate.n_a} of {noise.steps} votes, {expected.n_a} on the CPU"
