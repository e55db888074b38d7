"""An attack on a smoothed classifier, to see how tight its certificates are and that none is false."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from smoothing.errors import SettingError
from smoothing.noise import Noise
from smoothing.streams import BLOCK, Stage, Stream


def projected_gradient_ascent(
    f: nn.Module,
    noise: Noise,
    x: Tensor,
    label: int,
    radius: float,
    *,
    steps: int = 20,
    step_size: float = 0.1,
    samples: int = 1000,
    seed: int = 0,
    example: int = 0,
) -> Tensor:
    """A perturbed input, l2-within `radius` of x, at which the noisy samples' loss is large (Cohen et al., app. J.3).

    Steepest ascent in l2 on the mean cross entropy of f at noisy copies of the input, projected on the ball after each
    step. Fresh noise at every step, keyed as all noise is.

    Args:
        f: base classifier in eval mode, (b, *input shape) -> (b, number of classes) scores.
        noise: smoothing distribution.
        x: one input, (*input shape), floating-point.
        label: the class to move away from.
        radius: of the ball, > 0, in the input's units.
        steps: of the ascent.
        step_size: l2 length of a step; the paper's is 0.1.
        samples: noisy copies at each step.
        seed: of the noise.
        example: whose stream is used.

    Raises:
        SettingError: a radius, step or number out of range.
    """
    for name, value in (("radius", radius), ("steps", steps), ("step_size", step_size), ("samples", samples)):
        if not 0 < value < float("inf"):
            raise SettingError(f"{name}: expected a positive number, got {value}")
    stream, blocks = Stream(seed, example, Stage.ATTACK), -(-samples // BLOCK)
    target = torch.tensor([label], device=x.device)
    perturbation = torch.zeros_like(x)
    for step in range(steps):
        gradient = torch.zeros_like(x)
        for block in range(blocks):
            count = min(BLOCK, samples - block * BLOCK)
            batch = noise.sample(x + perturbation, BLOCK, stream.block(step * blocks + block, x.device))[:count]
            batch.requires_grad_(True)
            loss = functional.cross_entropy(f(batch), target.expand(count), reduction="sum")
            gradient += torch.autograd.grad(loss, batch)[0].sum(dim=0)
        norm = gradient.norm()
        if not norm > 0 or not norm.isfinite():
            break  # a flat or broken loss: there is no direction to go
        perturbation += step_size / norm * gradient
        perturbation *= min(1.0, radius * (1 - 1e-6) / float(perturbation.norm()))
    return x + perturbation
