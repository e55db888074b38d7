"""Fig. 4(b) of center smoothing: output images of a base function and of the smoothed function."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from torch import Tensor

from experiments.papers.kumar2021.medians import CLAIMS, METRICS, stand_in
from experiments.report.claims import verdicts
from experiments.report.figure import Drawing
from experiments.report.layout import WIDTH, head
from experiments.report.left_out import NO_DRAWS, trained_otherwise
from experiments.report.measured import NOTHING, measured, medians
from experiments.report.one_level import OneLevel
from experiments.report.symbols import sigma_text, with_symbols
from experiments.report.titles import title_of
from experiments.runs.reader import StoredRun, apart_from_noise, sigma_of
from experiments.runs.run_folder import load_draws
from smoothing import CenterDraws


class SmoothedImages(OneLevel):
    """f(x) above f_hat(x) for the first examples of a run whose outputs are images with values in [0, 1].

    Args:
        experiments: see `Figure`.
        sigma: noise level of the run to draw; the nearest one is taken.
        columns: number of examples to show.
    """

    def __init__(self, experiments: list[str], sigma: float, columns: int) -> None:
        super().__init__(experiments, sigma)
        self.columns = columns

    def why_not(self, run: StoredRun) -> str:
        if "eps_in" not in run.table:
            return "its rows certify no outputs"
        if "sigma" not in run.identity["noise"]:
            return "its noise has no sigma"
        if why := trained_otherwise(run):
            return why
        kept = _draws_of(run, int(run.table["index"].iloc[0]))
        if kept is None:
            return NO_DRAWS
        return "" if kept.center.dim() == 3 and len(kept.center) in (1, 3) else "its outputs are not images"

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return apart_from_noise(run)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        run = self.nearest(runs)
        examples = run.table.groupby("index", as_index=False).first().to_dict("records")
        kept = [(example, draws) for example in examples if (draws := _draws_of(run, int(example["index"])))]
        shown = kept[: self.columns]
        figure, axes = plt.subplots(2, len(shown), squeeze=False, figsize=(WIDTH, 2 * WIDTH / len(shown) + 0.7))
        rows = []
        for column, (example, draws) in zip(axes.T, shown, strict=True):
            index, error = int(example["index"]), float(example["smoothing_error"])
            abstained = example["status"] == "abstained"
            _show(column[0], draws.base_output)
            if abstained:
                column[1].set(xticks=[], yticks=[])
                column[1].text(0.5, 0.5, "abstained", ha="center", transform=column[1].transAxes)
            else:
                _show(column[1], draws.center)
            column[0].set_title("abstained" if abstained else f"{error:.3g}")
            rows.append(
                {
                    "index": index,
                    "status": example["status"],
                    "smoothing_error": error,
                    "moved": bool(len(draws.distances)) and bool(draws.distances.max() > NOTHING),
                    "mean_absolute_difference": float((draws.base_output - draws.center).abs().mean()),
                    "smallest_value": float(min(draws.base_output.min(), draws.center.min())),
                    "largest_value": float(max(draws.base_output.max(), draws.center.max())),
                }
            )
        axes[0][0].set_ylabel("base")
        axes[1][0].set_ylabel("smoothed")
        metric, name = run.identity["metric"]["type"], run.record["config"]["name"]
        distance = with_symbols(METRICS.get(metric, metric))
        head(
            figure,
            f"{title_of(name)}, {sigma_text(sigma_of(run))}",
            "; ".join(filter(None, [stand_in(run), f"above each image: the smoothing error, {distance}"])),
        )
        table = pd.DataFrame(rows).assign(sigma=sigma_of(run))
        says = (table["status"] != "abstained") & table["moved"]
        difference = table["mean_absolute_difference"].where(says, np.inf)
        median = measured(lambda values: float(medians(values)[0]), difference)
        cases = {f"{name}, sigma = {sigma_of(run):g}": median}
        claims = verdicts(CLAIMS, "center_generator_images", {"median mean absolute difference of the pixels": cases})
        return Drawing(figure, table, claims, [])


def _draws_of(run: StoredRun, index: int) -> CenterDraws | None:
    found = load_draws(run.folder / "draws" / f"{index}.npz")
    return found[0] if found else None


def _show(axis: Axes, image: Tensor) -> None:
    """Show an image (C, H, W). Values are clipped to [0, 1]."""
    pixels = image.float().clamp(0, 1).permute(1, 2, 0).numpy()
    axis.imshow(pixels if len(image) == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
