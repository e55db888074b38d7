"""Small runs under torch's CUDA sanitizer, which reports memory that two streams use without waiting for each other."""

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr

import torch

from experiments.benchmarks.gpu import FAILED, SKIPPED, cases
from smoothing import (
    L2,
    CenterSmoothing,
    CenterSmoothingHD,
    DeterministicSplitting,
    ExactCenterSmoothing,
    Gaussian,
    SmoothedClassifier,
    TotalVariation,
)
from smoothing.base_function import FrozenFunction

REPORT = "CSAN detected"


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """The sanitizer must report a planted race, and none in the library's own work."""
    if device.type == "cuda" and not reported(lambda: _race(device)):
        yield f"{FAILED}the sanitizer does not report a planted race; is TORCH_CUDA_SANITIZER=1 set?"
    for name, work in _works(device).items():
        found = reported(work)
        yield f"{FAILED}{name}: {found}" if found else f"{name}: no race"
    if device.type != "cuda":
        yield f"{SKIPPED}the sanitizer needs CUDA"


def reported(work: Callable[[], object]) -> str:
    """The sanitizer's reports during the work, or the work's error; empty if there is none.

    The reports are read from stderr, because the library may catch the sanitizer's exception as an error of f.
    """
    printed, error = io.StringIO(), ""
    with redirect_stderr(printed):
        try:
            work()
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
    text = printed.getvalue()
    return text[text.index(REPORT) :] if REPORT in text else error


def _race(device: torch.device) -> None:
    """Write on another stream without waiting for the one that has made the numbers."""
    numbers = torch.rand(1000, device=device)
    with torch.cuda.stream(torch.cuda.Stream(device)):
        numbers.mul_(2)


def _works(device: torch.device) -> dict[str, Callable[[], object]]:
    shape = (3, 16, 16)
    network, x = cases.convolutions(shape).to(device), cases.image(shape, device)
    few = {"n": 200, "m": 200, "delta": 0.3, "batch_size": 100}
    gaussian, finite = Gaussian(cases.SIGMA, grid=cases.LEVELS), DeterministicSplitting(cases.SIGMA, 255, shape)
    works: dict[str, Callable[[], object]] = {}
    for noise in cases.noises(shape):
        f = FrozenFunction(network)
        works[f"outputs under {noise}"] = lambda f=f, noise=noise: cases.by_engine(f, noise, x, 600, 100)  # type: ignore[misc]
    votes = SmoothedClassifier(network, gaussian, batch_size=100)
    works["six examples in shared batches"] = lambda: list(votes.certify_all([x.cpu()] * 6, n0=30, n=200))
    exact = SmoothedClassifier(network, finite, batch_size=100)
    works["a certificate of every noisy input"] = lambda: exact.certify_exactly(x)
    images = torch.nn.Sequential(network[0], torch.nn.ReLU())  # type: ignore[index]
    for f_hat in (
        CenterSmoothing(images, gaussian, TotalVariation(), **few),  # type: ignore[arg-type]
        CenterSmoothingHD(images, gaussian, L2(), **few),  # type: ignore[arg-type]
        ExactCenterSmoothing(images, finite, L2(), batch_size=100),
    ):
        works[f"{type(f_hat).__name__} under {f_hat.metric}"] = lambda h=f_hat: h.certify(x, eps=0.1)  # type: ignore[misc]
    return works
