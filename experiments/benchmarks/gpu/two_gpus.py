"""The second GPU against the first: the same samples give the same outputs, whichever GPU is the current one."""

from collections.abc import Iterator

import torch

from experiments.benchmarks.gpu import FAILED, SKIPPED, cases
from smoothing.base_function import FrozenFunction


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Compare outputs under every noise, on cuda:0 and cuda:1; with less than two GPUs, on one device with itself."""
    several = device.type == "cuda" and torch.cuda.device_count() > 1
    here = torch.empty(0, device=device).device  # cuda:0, not cuda
    devices = [torch.device("cuda", index) for index in range(2)] if several else [here] * 2
    names = [torch.cuda.get_device_name(each) if each.type == "cuda" else "cpu" for each in devices]
    shape, count = (3, 32, 32), 200 if tiny else 5000
    for noise in cases.noises(shape):
        one, other = (
            cases.by_engine(
                FrozenFunction(cases.convolutions(shape).to(each)), noise, cases.image(shape, each), count, 250
            )
            for each in devices
        )
        if other.device != devices[1]:
            yield f"{FAILED}{noise}: outputs of {devices[1]} are on {other.device}"
        if torch.equal(one.cpu(), other.cpu()):
            yield f"{noise}: equal outputs"
        elif names[0] == names[1]:
            yield f"{FAILED}{noise}: outputs differ by up to {float((one.cpu() - other.cpu()).abs().max()):.2g}"
        else:
            yield f"{noise}: outputs differ, as those of another model of GPU may"
    if not several:
        yield f"{SKIPPED}needs two GPUs"
