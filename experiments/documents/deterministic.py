"""Tables of deterministic center smoothing of digits under splitting noise, certified against l1."""

import numpy as np
import pandas as pd

from experiments.documents.runs import at, by_sigma, markdown, number, only, percent
from experiments.papers.kumar2021.medians import medians_of
from experiments.runs.reader import StoredRun

CENTER = {"certifier.type": "ExactCenterSmoothing"}
BALANCED = {"certifier.type": "ExactBalancedCenterSmoothing"}
POINTS = ((0.5, 0.25), (0.5, 0.75), (0.5, 1.0), (1.0, 0.5), (1.0, 1.5), (1.0, 2.0), (2.0, 1.0), (2.0, 2.0))


def l1() -> str:
    center, balanced = (_medians(settings) for settings in (CENTER, BALANCED))
    rows = [
        [name, *(number(found.loc[point, "eps_out"], 1) for point in POINTS)]
        for name, found in (("exact center smoothing", center), ("exact balanced", balanced))
    ]
    header = ["sigma, eps_in", *(f"{sigma}, {eps}" for sigma, eps in POINTS)]
    both = pd.DataFrame({"center": center["eps_out"], "balanced": balanced["eps_out"]})
    ratio = (both["balanced"] / both["center"])[np.isfinite(both).all(axis=1)]
    least, most = balanced["abstained"].min(), balanced["abstained"].max()
    return (
        f"{markdown(header, rows)}\nWhere half of the images have both certificates, the balanced radii are "
        f"{ratio.min():.2f} to {ratio.max():.2f} times as large ({len(ratio)} pairs of sigma and eps_in). "
        f"`exact_center` abstains on {percent(center['abstained'].max())} of the images, `exact_balanced` on "
        f"{100 * least:.0f} to {percent(most)}.\n"
    )


def _medians(settings: dict[str, str]) -> pd.DataFrame:
    found = pd.concat([medians_of(run) for run in by_sigma("digits_l1_tvd", settings).values()])
    return found.set_index(["sigma", "eps_in"])


def l1_answers() -> str:
    """The share of the images on which f_hat is certified not to abstain."""
    runs = {f"sigma = {sigma}": run for sigma, run in by_sigma("digits_l1_tvd", BALANCED).items()}
    for q, name in ((0.65, ""), (0.5, ", q = 1/2")):
        runs[f"sigma = 1.0, 1.5 rho{name}"] = only("digits_l1_tvd_answers", {"certifier.q": q})
    radii = {"1/16": 0.0625} | {str(eps): eps for eps in (0.25, 0.5, 0.75, 1.0, 1.5)}
    rows = [
        [name, *(percent(at(run, eps)["answers"].mean()) for eps in radii.values()), _radii(run)]
        for name, run in runs.items()
    ]
    return markdown(["eps_in", *radii, "median eps_out at 0.5 and 1.0"], rows)


def _radii(run: StoredRun) -> str:
    found = medians_of(run).set_index("eps_in")["eps_out"]
    return ", ".join(number(found[eps], 1) for eps in (0.5, 1.0))
