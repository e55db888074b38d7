"""Figures 2, 4 and 12 and appendix K of Cohen et al.: images under Gaussian noise. No runs."""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import skimage.data
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from torch import Tensor
from torch.nn import functional

from experiments.config.check import checked_group
from experiments.data import Dataset, LabelledDataset
from experiments.papers.cohen2019.results import CLAIMS
from experiments.report.claims import verdicts
from experiments.report.figure import Drawing, TheoryFigure
from experiments.report.layout import WIDTH, head
from experiments.report.symbols import SIGMA, sigma_text
from experiments.report.titles import data_title
from experiments.runs.reader import StoredRun
from smoothing import Gaussian, SettingError
from smoothing.radii import cohen_radius
from smoothing.streams import Stage, Stream

SIDE, LEFT = 224, 107  # side and left edge of the square around the astronaut's head
HALVINGS = 5  # 224 = 2^5 * 7
CLASS_PROBABILITY = 0.9  # p_A for the comparison of radii; every other value gives the same ratio
CLIPPED = "noisy pixels are clipped to [0, 1] for display"


class NoisyImages(TheoryFigure):
    """Fig. 2 and appendix K: test images, clean and under Gaussian noise at each sigma.

    The noise is the first estimation sample that Certify draws for the example with this seed on a CPU with
    noise.grid=0.

    Args:
        dataset: settings of a data set, as in a file of conf/dataset.
        indices: indices of the images, one row each.
        sigma: noise levels, one column each.
        seed: seed of the noise.

    Raises:
        SettingError: the data set is unknown, or it has no image with one of the indices.
    """

    def __init__(self, dataset: dict[str, Any], indices: list[int], sigma: list[float], seed: int = 0) -> None:
        super().__init__()
        self.dataset, self.indices, self.sigma, self.seed = checked_group("dataset", dataset), indices, sigma, seed

    def draw(self, runs: list[StoredRun]) -> Drawing:
        dataset: Dataset = self.dataset.build()
        shape = (len(self.indices), 1 + len(self.sigma))
        figure, axes = _grid(*shape)
        rows = []
        for line, index in zip(axes, self.indices, strict=True):
            try:
                x = dataset[index]
            except IndexError as error:
                raise SettingError(f"figure.indices: {error}") from error
            label = f"\nclass {dataset.classes[dataset.label(index)]}" if isinstance(dataset, LabelledDataset) else ""
            for axis, sigma in zip(line, (0.0, *self.sigma), strict=True):
                seen = x + noise_of(sigma, x, self.seed, index)
                rows.append({"index": index} | _show(axis, x, seen, sigma))
            line[0].set_ylabel(f"image {index}{label}")
        _title_columns(axes[0], self.sigma)
        name = type(dataset).__name__
        head(figure, f"{data_title(name)}: test images under Gaussian noise", CLIPPED)
        return Drawing(figure, pd.DataFrame(rows).assign(dataset=name, seed=self.seed), pd.DataFrame(), [])


class Resolutions(TheoryFigure):
    """Figs. 4 and 12: one photograph at several resolutions under the same noise, and a measurement of proposition 7.

    The photograph (skimage's astronaut; NASA, public domain) is halved by averaging squares of 2 x 2 pixels.

    Args:
        sigma: noise levels, one column each.
        halvings: number of rows after the first, which shows 224 x 224 pixels; 0 to 5.
        seed: seed of the noise.

    Raises:
        SettingError: halvings is out of range.
    """

    def __init__(self, sigma: list[float], halvings: int = 2, seed: int = 0) -> None:
        super().__init__()
        if not 0 <= halvings <= HALVINGS:
            raise SettingError(f"figure.halvings: expected 0 to {HALVINGS}, got {halvings}")
        self.sigma, self.halvings, self.seed = sigma, halvings, seed

    def draw(self, runs: list[StoredRun]) -> Drawing:
        images = [portrait()]
        for _ in range(self.halvings):
            images.append(halved(images[-1]))
        shape = (len(images), 1 + len(self.sigma))
        figure, axes = _grid(*shape)
        rows = []
        for line, x in zip(axes, images, strict=True):
            for column, (axis, sigma) in enumerate(zip(line, (0.0, *self.sigma), strict=True)):
                seen = x + noise_of(sigma, x, self.seed, column)
                rows.append({"side": x.shape[-1]} | _show(axis, x, seen, sigma))
            line[0].set_ylabel(rf"{x.shape[-2]} $\times$ {x.shape[-1]}")
        _title_columns(axes[0], self.sigma)
        head(figure, f"One photograph, halved by averaging, under noise of the same {SIGMA}", CLIPPED)
        table = pd.DataFrame(rows).assign(seed=self.seed)
        return Drawing(figure, table, verdicts(CLAIMS, "cohen_resolution", self._quantities(images[0])), [])

    def _quantities(self, x: Tensor) -> dict[str, dict[str, float]]:
        """Appendix G, measured: noise of 2 sigma on the image at twice the resolution, after averaging."""
        spread, radius = {}, {}
        for i, sigma in enumerate(self.sigma):
            left = float(halved(noise_of(2 * sigma, x, self.seed, i)).std())
            spread[f"sigma = {sigma:g}"] = left / sigma
            high, low = (cohen_radius(s, CLASS_PROBABILITY) for s in (2 * sigma, left))
            radius[f"sigma = {sigma:g}"] = high / low
        return {
            "standard deviation of noise of 2 sigma after averaging 2 x 2 over sigma": spread,
            "certified radius at twice the resolution over that under the noise that is left after averaging": radius,
        }


def noise_of(sigma: float, x: Tensor, seed: int, example: int) -> Tensor:
    """Gaussian noise in the shape of x, from the example's first estimation sample. Zero if sigma is 0."""
    if sigma == 0:
        return torch.zeros_like(x)
    source = Stream(seed, example, Stage.ESTIMATION).block(0, x.device)
    return Gaussian(sigma).sample(torch.zeros_like(x), 1, source)[0]


def portrait() -> Tensor:
    """The photograph, (3, 224, 224), float32 in [0, 1]."""
    pixels = torch.from_numpy(skimage.data.astronaut()[:SIDE, LEFT : LEFT + SIDE].copy())
    return pixels.permute(2, 0, 1).to(torch.float32) / 255


def halved(x: Tensor) -> Tensor:
    """The means of all squares of 2 x 2 pixels: (C, H, W) -> (C, H / 2, W / 2), H and W even."""
    return functional.avg_pool2d(x, 2)


def _grid(rows: int, columns: int) -> tuple[MatplotlibFigure, Any]:
    """A figure with rows and columns of square images."""
    return plt.subplots(rows, columns, figsize=(WIDTH, WIDTH / columns * rows + 0.4), squeeze=False)


def _show(axis: Axes, x: Tensor, seen: Tensor, sigma: float) -> dict[str, float]:
    """Show a noisy image and return its row of the table."""
    pixels = seen.clamp(0, 1).permute(1, 2, 0).numpy()
    axis.imshow(
        pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest"
    )
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    clipped = float(((seen < 0) | (seen > 1)).to(torch.float64).mean())
    return {"sigma": sigma, "measured_std": float((seen - x).std(correction=0)), "clipped": clipped}


def _title_columns(axes: list[Axes], sigmas: list[float]) -> None:
    for axis, sigma in zip(axes, (0.0, *sigmas), strict=True):
        axis.set_title(sigma_text(sigma) if sigma else "clean")
