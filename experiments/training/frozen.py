"""Freeze a model while its inputs are attacked."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode and turn off gradients of its weights; restore both at the end.

    Within this context, batch normalisation keeps its statistics, and only inputs have gradients:

        delta = torch.zeros_like(x, requires_grad=True)
        with frozen(model):
            loss = functional.cross_entropy(model(noise(x + delta)), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, delta)
    """
    modes = {module: module.training for module in model.modules()}
    wanted = {weight: weight.requires_grad for weight in model.parameters()}
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for weight, wants in wanted.items():
            weight.requires_grad_(wants)
