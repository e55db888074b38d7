"""What float32, TF32 and bfloat16 compute: outputs of a network against the same network in float64."""

from collections.abc import Iterator

import torch
from torch import Tensor

from experiments.benchmarks.classifiers import CIFAR, ready
from experiments.benchmarks.gpu import FAILED, cases
from models.classifiers import ResNetCIFAR
from smoothing.base_function import FrozenFunction, Precision

LARGEST: dict[Precision, float] = {"float32": 5e-5, "tf32": 2e-2, "bfloat16": 2e-1}  # relative to the largest output
SHORTER = 3  # TF32 has 10 instead of 23 bits, so its error is larger by at least this factor


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Compare the errors with their limits. float32 must not be TF32, also if the caller allows TF32."""
    torch.manual_seed(0)
    network = ready(lambda: ResNetCIFAR(10, 3, *CIFAR, depth=8 if tiny else 20)).cpu()
    noise = 0.25 * torch.randn(64, 3, 32, 32)
    batch = cases.image((3, 32, 32), torch.device("cpu")) + noise
    exact = FrozenFunction(network.double())(batch.double())
    network.float()
    errors = {precision: _error(network, precision, batch.to(device), exact) for precision in LARGEST}
    torch.set_float32_matmul_precision("high")
    errors_if_allowed = _error(network, "float32", batch.to(device), exact)
    torch.set_float32_matmul_precision("highest")
    for precision, error in errors.items():
        wrong = FAILED if not error <= LARGEST[precision] else ""
        yield f"{wrong}{precision}: the largest error is {error:.1e} of the largest output"
    wrong = FAILED if not errors_if_allowed <= LARGEST["float32"] else ""
    yield f"{wrong}float32 where the caller allows TF32: {errors_if_allowed:.1e}"
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        short = errors["tf32"] > SHORTER * errors["float32"]
        yield "TF32 is used where it is asked for" if short else f"{FAILED}tf32 computes as float32 does"


def _error(network: torch.nn.Module, precision: Precision, batch: Tensor, exact: Tensor) -> float:
    """The largest error, as a share of the largest output."""
    found = FrozenFunction(network, precision)(batch).double().cpu()
    return float((found - exact).abs().max() / exact.abs().max())
