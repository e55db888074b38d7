"""Tables of balanced center smoothing: medians of eps_out beside those of center smoothing, and abstentions."""

from functools import cache

import numpy as np
import pandas as pd

from experiments.documents.center import BALANCED, BEST, CENTER
from experiments.documents.runs import RESULTS, by_sigma, having, markdown, number, percent, setting, shares
from experiments.papers.kumar2021.calibrated import CalibratedDraws
from experiments.papers.kumar2021.medians import medians_of
from experiments.papers.ours.exact_bounds import BALANCED as CALIBRATED
from experiments.papers.ours.exact_bounds import EXACT, STEPS, steps_of
from experiments.runs.reader import StoredRun, sigma_of

ABSTAINED = "abstained: center smoothing, balanced"
FACTORS = {1.0: "the same rho", 1.5: "1.5 rho", 2.0: "2 rho"}


def balanced_digits() -> str:
    rows = [_beside("digits_tvd", run, 1) for run in by_sigma("digits_tvd", BALANCED).values()]
    header = ["sigma", "center smoothing, h = 2", "balanced, h = 2", "balanced, h = 3", "balanced, h = 4", ABSTAINED]
    return markdown(header, rows)


def balanced_mnist() -> str:
    rows = []
    for experiment, name in (("mnist_tvd", "autoencoder"), ("mnist_reconstruction_tvd", "reconstruction")):
        for run in by_sigma(experiment, BALANCED).values():
            sigma, *cells = _beside(experiment, run, 1)
            rows.append([f"{name}, {sigma}", *cells])
    header = ["task, sigma", "center smoothing, h = 2", *(f"balanced, h = {h}" for h in (2, 3, 4)), ABSTAINED]
    return markdown(header, rows)


def balanced_distances() -> str:
    rows = []
    for name, digits in (("l2", 2), ("angular", 3)):
        for run in by_sigma(f"mnist_{name}", BALANCED).values():
            sigma, center, balanced, *_, abstained = _beside(f"mnist_{name}", run, digits)
            rows.append([f"{name}, {sigma}", center, balanced, abstained])
    return markdown(["distance, sigma", "center smoothing", "balanced", ABSTAINED], rows)


def _beside(experiment: str, run: StoredRun, digits: int) -> list[str]:
    """sigma, the medians of center smoothing at h = 2 and of a balanced run at 2, 3 and 4, and both abstentions.

    The run of center smoothing has the balanced one's sigma and epochs, and its center if there are several.
    """
    alike = CENTER | {key: setting(run, key) for key in ("training.epochs", "noise.sigma")}
    others = sorted(having(experiment, alike), key=lambda other: setting(other, "certifier.center") is not None)
    center = _by_h(others[0]) if others else pd.DataFrame(columns=["eps_out", "abstained"])
    own = _by_h(run)
    medians = [number(own.loc[h, "eps_out"], digits) for h in (2, 3, 4)]
    cell = number(center.loc[2, "eps_out"], digits) if others else ""
    both = [table.loc[2, "abstained"] for table in (center, own) if 2 in table.index]
    return [f"{sigma_of(run):g}", cell, *medians, shares(both)]


def _by_h(run: StoredRun) -> pd.DataFrame:
    table = medians_of(run)
    return table.set_index(table["h"].round(2))


@cache
def _steps(experiment: str, sigma: float) -> pd.DataFrame:
    """Medians after each step from the paper's bounds to the calibrated q, from the same draws, by h and step."""
    run = by_sigma(experiment, CENTER | BEST if experiment == "digits_tvd" else {})[sigma]
    return pd.DataFrame(steps_of(CalibratedDraws(run), [1, 2, 3, 4])).set_index(["h", "step"])


def balanced_faces() -> str:
    """Two steps at h = 2, at each input radius."""
    found = {eps: _steps("faces_jaccard", eps / 2).loc[2] for eps in (0.1, 0.2, 0.3, 0.4, 0.5)}
    names = {"center smoothing, exact bounds": EXACT, "balanced": CALIBRATED}
    rows = [[name, *(number(t.loc[step, "eps_out"], 3) for t in found.values())] for name, step in names.items()]
    at_3 = (number(_steps("faces_jaccard", eps / 2).loc[(3, CALIBRATED), "eps_out"], 3) for eps in found)
    rows.append(["balanced, h = 3, at the same sigma", *at_3])
    both = (t.loc[[EXACT, CALIBRATED], "abstained"] for t in found.values())
    rows.append([ABSTAINED, *map(shares, both)])
    return markdown(["median eps_out, h = 2, at eps_in =", *map(str, found)], rows)


def steps() -> str:
    rows = []
    for title, experiment, sigma, digits, most in (
        ("faces, Jaccard, sigma = 0.2, 20 photographs", "faces_jaccard", 0.2, 3, 3),
        ("digits, total variation, sigma = 0.4, 50 images", "digits_tvd", 0.4, 1, 4),
    ):
        found = _steps(experiment, sigma)
        for h in range(1, most + 1):
            cells = (number(found.loc[(h, step), "eps_out"], digits) for step in STEPS)
            rows.append([title, str(h), *cells])
    return markdown(["the draws of", "h", *STEPS], rows)


def answers() -> str:
    """Abstentions, and certificates against them, from results/answers."""
    table = pd.read_csv(RESULTS / "answers" / "answers.csv")
    rows = []
    for q, name in ((0.75, "q = 0.75"), (0.5, "q = 1/2")):
        for factor, of in table[table["q"] == q].groupby("factor"):
            rho = "calibrated rho" if (q, factor) == (0.75, 1) else FACTORS[factor]
            by_h = of.groupby("h")
            out = [number(_median(by_h.get_group(h)), 1) for h in (1, 2)]
            never = percent((by_h.get_group(1)["status"] == "abstained").mean())
            rows.append([f"{name}, {rho}", ", ".join(out), never, shares(by_h["answers"].mean())])
    header = ["sigma = 0.2", "median eps_out, h = 1 and 2", "abstained at x"]
    return markdown([*header, "certified not to abstain at x', h = 0.5, 1, 2"], rows)


def attacked() -> str:
    """Abstentions at x and under attack, from results/abstentions."""
    table = pd.read_csv(RESULTS / "abstentions" / "abstentions.csv")
    names = {"center": "center smoothing, delta = 0.08", "balanced": "balanced, calibrated rho"}
    rows = []
    for certifier, of in table.groupby("certifier", sort=False):
        out = [number(_median(each.drop_duplicates("index")), 1) for _, each in of.groupby("h")]
        there = (shares(each.groupby("h")["there"].mean()) for _, each in of.groupby("aim"))
        rows.append([names.get(certifier, certifier), ", ".join(out), percent(of["at_x"].mean()), *there])
    title = f"autoencoder of digits, sigma = 0.2, {table['index'].nunique()} test images"
    header = [title, "median eps_out, h = 1 and 2", "abstained at x", 'at x\', "move"', 'at x\', "spread"']
    broken = f"Of {len(table)} attacks, {int(table['violated'].sum())} broke a certificate."
    return f"{markdown(header, rows)}\n{broken}\n"


def _median(rows: pd.DataFrame) -> float:
    return float(np.median(rows["eps_out"]))
