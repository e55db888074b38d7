"""Figure 3 of Levine and Feizi: images under deterministic splitting noise and under uniform noise."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from experiments.config.check import checked_group
from experiments.data import LabelledDataset
from experiments.data.photographs import NAMES, Photographs
from experiments.papers.levine2021.results import levine_verdicts
from experiments.report.figure import Drawing, TheoryFigure
from experiments.report.layout import WIDTH, head
from experiments.report.symbols import LAMBDA, NORMS, sigma_text
from experiments.runs.reader import StoredRun
from smoothing import DeterministicSplitting, SettingError, Uniform
from smoothing.streams import Stage, Stream

GRAY_SCALE = f"under uniform noise, the gray scale is from -{LAMBDA} to 1 + {LAMBDA}"


class NoisyImages(TheoryFigure):
    """One test image, clean and with one sample of each noise at each sigma. No runs.

    Splitting noise stays in [0, 1]. Under uniform noise the range [-lambda, 1 + lambda] is scaled to the gray scale, as
    in the paper.

    Args:
        dataset: settings of a labelled data set, as in conf/dataset.
        index: index of the test image.
        sigma: noise levels, one column each.
        seed: seed of the noise.
    """

    def __init__(self, dataset: dict[str, Any], index: int, sigma: list[float], seed: int = 0) -> None:
        super().__init__()
        self.dataset, self.index, self.sigma, self.seed = dataset, index, sigma, seed

    def draw(self, runs: list[StoredRun]) -> Drawing:
        dataset = checked_group("dataset", self.dataset).build()
        if not isinstance(dataset, LabelledDataset):
            raise SettingError("figure.dataset: expected a labelled data set; set _target_: experiments.data.Digits")
        try:
            x = dataset[self.index]
        except IndexError as error:
            raise SettingError(f"figure.index: {error}") from error
        figure, axes = plt.subplots(2, 1 + len(self.sigma), figsize=(WIDTH, 2 * WIDTH / (1 + len(self.sigma)) + 0.7))
        parts = []
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
        for row, name in enumerate(("DSSN", "uniform")):
            _show(axes[row][0], x)
            axes[row][0].set_ylabel(name)
            for axis, sigma in zip(axes[row][1:], self.sigma, strict=True):
                noisy = self._noisy(name, sigma, x, dataset.levels)
                shown = as_shown(name, sigma, noisy)
                _show(axis, shown)
                parts.append(_pixels(noisy, shown).assign(noise=name, sigma=sigma))
        for axis, title in zip(axes[0], ("clean", *map(sigma_text, self.sigma)), strict=True):
            axis.set_title(title)
        head(figure, f"A digit under two kinds of {NORMS['l1']} noise", GRAY_SCALE)
        clean = _pixels(x, x).assign(noise="none", sigma=0.0)
        note = f"test image {self.index}; gray scale: -lambda to 1 + lambda for uniform noise, 0 to 1 for DSSN"
        return Drawing(figure, pd.concat([clean, *parts], ignore_index=True), pd.DataFrame(), [note])

    def _noisy(self, name: str, sigma: float, x: Tensor, levels: int) -> Tensor:
        return noisy_image(name, sigma, x, levels, self.seed, self.index)


class NoisyPhotographs(TheoryFigure):
    """Fig. 3: photographs, clean, under DSSN and under uniform noise of the same sigma. No runs.

    The measure of how discernible a noisy image is: the correlation of its pixels with those of the clean image.

    Args:
        sigma: noise level of both noises.
        seed: seed of the noise.
    """

    def __init__(self, sigma: float, seed: int = 0) -> None:
        super().__init__()
        self.sigma, self.seed = sigma, seed

    def draw(self, runs: list[StoredRun]) -> Drawing:
        photographs = Photographs()
        figure, axes = plt.subplots(3, len(NAMES), figsize=(WIDTH, 3 * WIDTH / len(NAMES) + 0.7), squeeze=False)
        rows = []
        for index, column in zip(photographs.indices(), axes.T, strict=True):
            x = photographs[index]
            column[0].set_title(NAMES[index])
            for axis, name in zip(column, ("clean", "DSSN", "uniform"), strict=True):
                axis.set(xticks=[], yticks=[])
                noisy = x if name == "clean" else noisy_image(name, self.sigma, x, photographs.levels, self.seed, index)
                _show(axis, as_shown(name, self.sigma, noisy))
                if name != "clean":
                    correlation = float(torch.corrcoef(torch.stack([x.flatten(), noisy.flatten()]))[0, 1])
                    rows.append({"photograph": NAMES[index], "noise": name, "correlation": correlation})
        for axis, name in zip(axes[:, 0], ("clean", "DSSN", "uniform"), strict=True):
            axis.set_ylabel(name)
        head(figure, f"{sigma_text(self.sigma)}: what is left of a photograph", GRAY_SCALE)
        table = pd.DataFrame(rows).assign(sigma=self.sigma, seed=self.seed)
        wide = table.pivot(index="photograph", columns="noise", values="correlation")
        ratios = (wide["uniform"] / wide["DSSN"]).to_dict()
        quantity = "correlation with the clean image under uniform noise over that under DSSN"
        return Drawing(figure, table, levine_verdicts("dssn_photographs", {quantity: ratios}), [])


def noisy_image(name: str, sigma: float, x: Tensor, levels: int, seed: int, index: int) -> Tensor:
    """An image (C, H, W) with one sample of DSSN or of uniform noise: the first of the example's prediction samples."""
    noise = DeterministicSplitting(sigma, levels, tuple(x.shape)) if name == "DSSN" else Uniform(sigma)
    return noise.sample(x, 1, Stream(seed, index, Stage.PREDICTION).block(0, torch.device("cpu")))[0]


def as_shown(name: str, sigma: float, noisy: Tensor) -> Tensor:
    """The image to display: under uniform noise [-lambda, 1 + lambda] is scaled to [0, 1]; others are unchanged."""
    lam = Uniform(sigma).lam
    return (noisy + lam) / (1 + 2 * lam) if name == "uniform" else noisy


def _show(axis: plt.Axes, image: Tensor) -> None:
    axis.imshow(image.permute(1, 2, 0).squeeze(2).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(True)


def _pixels(noisy: Tensor, shown: Tensor) -> pd.DataFrame:
    """One row per pixel: its position, its value, and the displayed value."""
    channel, row, column = np.indices(tuple(noisy.shape)).reshape(3, -1)
    return pd.DataFrame(
        {"channel": channel, "row": row, "column": column, "value": noisy.flatten(), "shown": shown.flatten()}
    )
