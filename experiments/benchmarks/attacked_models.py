"""The attacked functions: small models of the digits, and functions built by hand to nearly reach the certified bound.

Inputs are images (1, 8, 8) with pixel values k/16 in [0, 1] unless a function says otherwise.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.data.digit_mosaics import DigitMosaics
from experiments.data.digits import Digits
from models.ablated import Ablated, seen
from models.classifiers.small_cnn import SmallCNN
from models.segmenter import Segmenter
from smoothing import Noise
from smoothing.noise.patches import PatchAblation
from smoothing.streams import Stage, Stream

Function = Callable[[Tensor], Tensor]
PIXEL = 27  # index among 64 pixels; near the middle, where digits differ
BATCH = 128
JUNK = -40.0  # an output far from all others


def images() -> Tensor:
    """The test images, (500, 1, 8, 8), float32."""
    return Digits().testing().pixels / Digits.levels


def classifier(noise: Noise, seed: int, steps: int = 400) -> nn.Module:
    """A small CNN, trained briefly under the noise, in eval mode. It knows which pixels are hidden, if any are."""
    data = Digits().training()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = SmallCNN(10, 1, Digits.mean, Digits.std, width=8)
        if isinstance(noise, PatchAblation):
            model = Ablated(10, 1, {"_target_": "models.classifiers.SmallCNN", "width": 8})

    def loss(noisy: Tensor, chosen: Tensor) -> Tensor:
        return functional.cross_entropy(model(noisy), data.labels[chosen])

    return _trained(model, loss, noise, seed, steps)


def autoencoder(noise: Noise, seed: int, steps: int = 600) -> nn.Module:
    """A small autoencoder, 64 -> 12 -> 64, (b, 1, 8, 8) to the same shape, trained briefly under the noise.

    It is steep enough for attacks to move its output. It knows which pixels are hidden, if any are.
    """
    hidden = isinstance(noise, PatchAblation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = (Seen(), nn.Flatten(), nn.Linear(128, 12)) if hidden else (nn.Flatten(), nn.Linear(64, 12))
        model = nn.Sequential(*first, nn.ReLU(), nn.Linear(12, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))
    clean = Digits().training().pixels / Digits.levels
    return _trained(model, lambda noisy, chosen: functional.mse_loss(model(noisy), clean[chosen]), noise, seed, steps)


class Seen(nn.Module):
    """x and 1 - x, both 0 in hidden pixels; see `models.ablated.seen`."""

    def forward(self, batch: Tensor) -> Tensor:
        return seen(batch)


def segmenter(noise: Noise, seed: int, steps: int = 200) -> nn.Module:
    """A small network from mosaics to scores, (b, 1, 16, 16) -> (b, 11, 16, 16), trained briefly under the noise."""
    data = DigitMosaics().training()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Segmenter(11, 1, width=16).layers

    def loss(noisy: Tensor, chosen: Tensor) -> Tensor:
        return functional.cross_entropy(model(noisy), data.labels[chosen])

    return _trained(model, loss, noise, seed, steps, data.pixels / DigitMosaics.levels)


def mosaics() -> Tensor:
    """The test mosaics, (125, 1, 16, 16), float32."""
    return DigitMosaics().testing().pixels / DigitMosaics.levels


def _trained(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    noise: Noise,
    seed: int,
    steps: int,
    images: Tensor | None = None,
) -> nn.Module:
    """Train with Adam on batches of noisy images, by default digits. `loss` takes noisy images and their indices."""
    clean = Digits().training().pixels / Digits.levels if images is None else images
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(steps):
        chosen = torch.randint(len(clean), (BATCH,), generator=generator)
        noisy = noise.sample_each(clean[chosen], Stream(seed + 1, 0, Stage.ATTACK).block(step, clean.device))
        optimizer.zero_grad()
        loss(noisy, chosen).backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


class Boxes(nn.Module):
    """A random network from images to nonempty boxes (x1, y1, x2, y2), in units of the image's side."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 4))
        self.eval().requires_grad_(False)

    def forward(self, batch: Tensor) -> Tensor:
        found = self.layers(batch)
        middle, side = 0.5 + 0.5 * found[:, :2], 0.4 * functional.softplus(1 + found[:, 2:])
        return torch.cat([middle - side / 2, middle + side / 2], dim=1)


def half_space(direction: Tensor, offset: float) -> Function:
    """Class 1 where <direction, z> > offset, with direction (1, 8, 8). Cohen et al.'s radius is exact for it."""
    return lambda batch: _two_scores((batch * direction).flatten(1).sum(dim=1) - offset)


def between_two_digits() -> tuple[Tensor, float]:
    """Unit direction and offset of the half-space midway between the mean images of the digits 0 and 1.

    There are images on both sides.
    """
    training = Digits().training()
    clean = training.pixels / Digits.levels
    means = [clean[training.labels == digit].mean(dim=0) for digit in (0, 1)]
    direction = (means[1] - means[0]) / (means[1] - means[0]).norm()
    return direction, float((direction * (means[0] + means[1]) / 2).sum())


def one_pixel(batch: Tensor) -> Tensor:
    """Class 1 where one pixel is above 1/2. The l1 radii are exact for it. Any shape; a single number is the pixel."""
    flat = batch.flatten(1)
    return _two_scores(10 * (flat[:, PIXEL % flat.shape[1]] - 0.5))


def positive(batch: Tensor) -> Tensor:
    """Class 1 where the number is positive: (b, 1) -> (b, 2)."""
    return _two_scores(batch[:, 0])


def _two_scores(score: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(score), score], dim=1)


def all_seen_is_black(batch: Tensor) -> Tensor:
    """Class 1 where every pixel that is not hidden is below 1/2: (b, C, H, W) -> (b, 2). Radii of bands are exact."""
    return _two_scores(0.5 - batch.nan_to_num(nan=0.0).flatten(1).amax(dim=1))


def pixel_of(f: Function) -> Function:
    """One pixel of a function to images: (b, 1, 8, 8) -> (b, 1)."""
    return lambda batch: f(batch).flatten(1)[:, PIXEL, None]


def identity(batch: Tensor) -> Tensor:
    """(b, 1) -> (b, 1). The median and, on a wide range, the mean of x + noise is x."""
    return batch


def dark_pixels(batch: Tensor) -> Tensor:
    """Two scores of each pixel, class 1 where it is above 1/2: (b, 1, H, W) -> (b, 2, H, W)."""
    return torch.cat([torch.zeros_like(batch), batch - 0.5], dim=1)


def two_points(batch: Tensor) -> Tensor:
    """Output 1 where the input is positive, else 0: (b, 1) -> (b, 1)."""
    return (batch > 0).float()


def four_points(batch: Tensor) -> Tensor:
    """Outputs JUNK, -1, 1 and 2.98 as the input (b, 1) grows. At 0 under N(0, 1) an attack nearly reaches eps_out = 2.

    At 0 the outputs have probabilities 0.12, 0.45, 0.31 and 0.12. The shortest interval with half of the mass is
    [-1, 1]; its middle is 0, and R_hat = 1 up to a quantile of 0.76. After a shift by 0.35, [1, 2.98] has more than
    half of the mass and is shorter.
    """
    edges = torch.tensor([-1.175, 0.1764, 1.175])  # quantiles of N(0, 1) at 0.12, 0.57 and 0.88
    return torch.tensor([JUNK, -1.0, 1.0, 2.98])[torch.bucketize(batch, edges)]


def three_points(batch: Tensor) -> Tensor:
    """Outputs -1, 1 and 3 as the input (b, 1) grows, for balanced center smoothing with q = 0.75 and rho = 2.

    At 0 under N(0, 1) they have probabilities 0.2, 0.65 and 0.15. Two neighbours hold 0.85 or 0.8, so -1 and 3 are
    centers within rho. An attack can move the one to the other: by 4, which is eps_out.
    """
    edges = torch.tensor([-0.8416, 1.0364])  # quantiles of N(0, 1) at 0.2 and 0.85
    return torch.tensor([-1.0, 1.0, 3.0])[torch.bucketize(batch, edges)]


def four_points_under_splitting(levels: int) -> Function:
    """The same for splitting noise with lambda = 1/2 and its `levels` noisy inputs: (b, 1) -> (b, 1).

    A noisy input z determines its split and on which side of the split x lies. x = 0 is below all splits and gives a
    list of outputs. Each grid step of x changes one output from -1 to 2.98.
    """
    below, above = _outputs_before_and_after(levels)

    def f(batch: Tensor) -> Tensor:
        split = ((2 * batch) % 1 * levels).floor().long().clamp(0, levels - 1)
        return torch.where(batch > 0.5, above[split], below[split])

    return f


def four_points_of_columns(width: int) -> Function:
    """The same for noisy inputs that show one column each: (b, 1, 1, width) -> (b, 1).

    A black image gives a list of outputs. Each white pixel changes one output, in the first columns from -1 to 2.98.
    """
    below, above = _outputs_before_and_after(width)

    def f(batch: Tensor) -> Tensor:
        shown = batch.flatten(1)
        column = (~shown.isnan()).float().argmax(dim=1, keepdim=True)
        return torch.where(shown.gather(1, column) > 0.5, above[column], below[column])

    return f


def _outputs_before_and_after(count: int) -> tuple[Tensor, Tensor]:
    """Outputs of all noisy inputs, and those after each of them changed, (count,).

    The smallest ball with floor(count/2) + 1 + k outputs remains [-1, 1] just long enough.
    """
    counts = [round(share * count) for share in (0.431, 0.196, 0.188)]
    outputs = torch.tensor([-1.0, 1.0, 2.98, JUNK])
    below = torch.repeat_interleave(outputs, torch.tensor([*counts, count - sum(counts)]))
    return below, torch.where(below == -1, 2.98, below)
