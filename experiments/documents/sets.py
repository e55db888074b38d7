"""Tables of certified cells of masks, of certificates against l0 and patches, and of conformal sets."""

import numpy as np
import pandas as pd

from experiments.documents.runs import at, by_sigma, having, markdown, number, only, percent
from experiments.machine.words import at_least
from experiments.papers.others.ablation import predicted_right
from experiments.report.certified_accuracy import average_radius, certified_radii, rows_of
from experiments.runs.reader import median_with_abstentions


def person_cells() -> str:
    """The share of the cells that SegCertify certifies, and center smoothing's share that keeps its class."""
    both = _cells("person_segment", "person_hamming")
    shown = ((0.05, 0.05), (0.05, 0.1), (0.1, 0.1), (0.15, 0.3))
    rows = []
    for point in shown:
        kept = [percent(1 - out, 1) if out < 1 else "abstains" for out in both[point]["eps_out"]]
        certified = ", ".join(percent(share, 1) for share in both[point]["certified"])
        rows.append([f"{point[0]}, {point[1]}", certified, ", ".join(kept)])
    header = ["sigma, eps", "SegCertify: astronaut, cameraman, hands", "center smoothing, Hamming"]
    return f"{markdown(header, rows)}\n{_more(both)}\n"


def person_masks() -> str:
    """The least overlap (IoU) of the smoothed masks, rounded down."""
    rows = []
    for sigma, run in by_sigma("person_jaccard", {}).items():
        for eps in sorted(run.table["eps_in"].unique()):
            cells = [
                at_least(1 - row.eps_out) if row.status == "certified" and not row.vacuous else "none"
                for row in at(run, eps).itertuples()
            ]
            rows.append([f"{sigma}, {eps}", *cells])
    return markdown(["sigma, eps", "astronaut", "cameraman", "hands"], rows)


def mosaic_cells() -> str:
    both = _cells("digits_segment", "digits_segment_hamming")
    rows = [
        [f"{sigma}, {eps}", percent(of["certified"].median(), 1), percent(1 - of["eps_out"].median(), 1)]
        for (sigma, eps), of in both.items()
    ]
    header = ["sigma, eps", "SegCertify: share certified", "center smoothing: 1 - eps_out"]
    return f"{markdown(header, rows)}\n{_more(both)}\n"


def _cells(segment: str, center: str) -> dict[tuple[float, float], pd.DataFrame]:
    """The rows of both certificates by sigma and eps; eps_out is 1, the largest distance, without a certificate."""
    found = {}
    others = by_sigma(center, {})
    for sigma, run in by_sigma(segment, {}).items():
        for eps in sorted(run.table["eps_in"].unique()):
            other = at(others[sigma], eps)
            out = other["eps_out"].where(other["status"] == "certified", 1.0)
            found[sigma, eps] = at(run, eps).join(out)
    return found


def _more(both: dict[tuple[float, float], pd.DataFrame]) -> str:
    """In how many rows SegCertify certifies more, and in how many center smoothing does."""
    more = sum(int((of["certified"] > 1 - of["eps_out"]).sum()) for of in both.values())
    less = {point: int((of["certified"] < 1 - of["eps_out"]).sum()) for point, of in both.items()}
    where = (
        f"Center smoothing certifies more in {count} of the {len(both[sigma, eps])} rows at sigma = {sigma}, eps = "
        f"{eps}."
        for (sigma, eps), count in less.items()
        if count
    )
    return " ".join([f"SegCertify certifies more in {more} of {sum(map(len, both.values()))} rows.", *where])


def ablation() -> str:
    rows = []
    for experiment, name in (("mnist_ablation", "images of MNIST"), ("digits_ablation", "digits of 64 pixels")):
        for run in sorted(having(experiment, {}), key=lambda run: run.identity["noise"]["keep"]):
            radius = certified_radii(run).to_numpy()
            predicted = predicted_right(run.table, run.identity["certifier"]["alpha"])
            shares = [percent(share, 1) for share in (predicted, np.mean(radius >= 0))]
            title = f"{len(radius)} {name}, {run.identity['noise']['keep']} pixels kept"
            rows.append([title, *shares, f"{np.median(radius.clip(min=0)):g}", f"{radius.max():g}"])
    return markdown(["", "Predict is right", "certified at radius 0", "median l0 radius", "largest"], rows)


def patches() -> str:
    """Certified accuracy by the side of the patch."""
    kinds = (
        ("mnist_patches", "images of MNIST, bands of 4 of 28 columns", "BandAblation", 4),
        ("mnist_patches", "images of MNIST, blocks of 12 x 12", "BlockAblation", 12),
        ("digits_patches", "digits of 8 x 8 pixels, bands of 2 columns", "BandAblation", 2),
        ("digits_patches", "digits of 8 x 8 pixels, blocks of 3 x 3", "BlockAblation", 3),
    )
    rows = []
    for experiment, name, kind, size in kinds:
        run = only(experiment, {"noise.type": kind, "noise.size": size})
        sides = (percent(np.mean(certified_radii(run) >= side), 1) for side in range(6))
        rows.append([f"{len(run.table)} {name}", *sides, f"{average_radius(*rows_of(run)):.2f}"])
    return markdown(["side of the patch", *map(str, range(6)), "average certified side"], rows)


def patch_outputs() -> str:
    """Median eps_out by the side of the patch."""
    rows = []
    for kind, size, name in (
        ("BandAblation", 2, "bands of 2 columns"),
        ("BlockAblation", 2, "blocks of 2 x 2"),
        ("BlockAblation", 4, "blocks of 4 x 4"),
    ):
        run = only("digits_patches_center", {"noise.type": kind, "noise.size": size})
        radii = (number(_radius(at(run, side)), 1) for side in range(1, 5))
        error = run.table.drop_duplicates("index")["smoothing_error"].median()
        rows.append([name, *radii, number(error, 1)])
    return markdown(["median eps_out against a patch of side", *map(str, range(1, 5)), "median smoothing error"], rows)


def _radius(rows: pd.DataFrame) -> float:
    return median_with_abstentions(rows["eps_out"].to_numpy(np.float64), (rows["status"] == "certified").to_numpy())


def conformal() -> str:
    """Coverage and average size of robust and of ordinary sets under attack."""
    run = only("digits_conformal", {"certifier.type": "ConformalAttack"})
    kinds = {"robust": "robust sets", "smoothed": "ordinary sets", "base": "ordinary sets of the network's own scores"}
    rows = [[f"{eps:g}", *(_covered(of, kind) for kind in kinds)] for eps, of in run.table.groupby("eps_in")]
    return markdown(["eps", *(f"{name}: coverage, classes" for name in kinds.values())], rows)


def conformal_mnist() -> str:
    """The same on MNIST at two radii, and robust sets without an attack."""
    plain, attacked = (only("mnist_conformal", {"certifier.type": f"Conformal{name}"}) for name in ("Sets", "Attack"))
    rows = []
    for eps in (0.0, 0.5):
        of = at(plain, eps)
        covered = [str(label) in str(some).split() for label, some in zip(of["label"], of["classes"], strict=True)]
        row = [f"{percent(float(np.mean(covered)), 1)}, {of['size'].mean():.2f}"]
        rows.append([f"{eps:g}", *row, *(_covered(at(attacked, eps), kind) for kind in ("robust", "smoothed", "base"))])
    counts = [run.table["index"].nunique() for run in (plain, attacked)]
    names = (f"attacked, {counts[1]} images: {name}" for name in ("robust", "smoothed scores", "the network's own"))
    return markdown(["eps", f"robust, no attack, {counts[0]} images: coverage, classes", *names], rows)


def _covered(rows: pd.DataFrame, kind: str) -> str:
    return f"{percent(rows[kind].mean(), 1)}, {rows[f'{kind}_size'].mean():.2f}"
