"""Tables of certified classifiers: Cohen et al. and DSSN."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from experiments.documents.runs import by_sigma, count, having, markdown, percent
from experiments.papers.cohen2019.results import EXPECTED
from experiments.papers.levine2021.results import HERE
from experiments.report.certified_accuracy import average_radius, certified_radii, rows_of, share_band
from experiments.report.claims import beside_paper
from experiments.runs.reader import StoredRun, noise_matches, sigma_of

CERTIFY = {"certifier.type": "Certify"}
NOISES = {"uniform": "uniform", "ssn": "SSN", "dssn": "DSSN"}


def cohen_digits() -> str:
    return _accuracies("digits_gaussian", CERTIFY, (0, 0.25, 0.5, 0.75, 1.0))


def cohen_mnist() -> str:
    settings = CERTIFY | {"certifier.n": 100_000}
    return _accuracies("mnist_gaussian", settings, (0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0))


def cohen_jpeg() -> str:
    radii = (0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
    return _accuracies("cifar10_jpeg_gaussian", CERTIFY, radii, "cohen_table_cifar10_jpeg")


def _accuracies(experiment: str, settings: Mapping[str, Any], radii: Sequence[float], paper: str = "") -> str:
    """Certified accuracy at each radius, of the networks trained under the noise of certification.

    Args:
        experiment: the experiment.
        settings: of its runs.
        radii: l2 radii.
        paper: id in expected.csv of the paper's numbers, which stand in parentheses.
    """
    rows = []
    for run in sorted(filter(noise_matches, having(experiment, settings)), key=sigma_of):
        accuracy = [float(np.mean(certified_radii(run) >= radius)) for radius in radii]
        cells = [f"{share:.2f}" if share else "0" for share in accuracy]
        if paper:
            table = pd.DataFrame({"radius": radii, "share": accuracy})
            table = table.assign(sigma=sigma_of(run), examples=len(run.table))
            printed = beside_paper(EXPECTED, paper, table, "sigma", "radius", "share")["paper"]
            cells = [f"{cell} ({p:.2f})" if p else f"{cell} (0)" for cell, p in zip(cells, printed, strict=True)]
        rows.append([f"{sigma_of(run):g}", *cells])
    return markdown(["sigma", "r = 0", *(f"{radius}" for radius in radii[1:])], rows)


def attacks() -> str:
    """The share of certified images whose class changes within multiples of the certified radius."""
    rows = []
    for experiment, name in (("digits_gaussian", "digits"), ("mnist_gaussian", "MNIST")):
        for sigma, run in by_sigma(experiment, {"certifier.type": "Attack"}).items():
            found = run.table[run.table["status"] == "attacked"].groupby("factor")["success"]
            cells = []
            for successes, attacked in zip(found.sum(), found.count(), strict=True):
                low, high = share_band(int(successes), int(attacked))
                cells.append(f"{100 * successes / attacked:.0f} ({100 * low:.0f} to {100 * high:.0f}) %")
            rows.append([f"{name}, {sigma:g}", str(found.count().iloc[0]), *cells])
    return markdown(["data, sigma", "attacked", "within R", "within 1.5 R", "within 2 R"], rows)


def dssn_jpeg() -> str:
    radii = (0.5, 1.0, 1.5, 2.0)
    runs = by_sigma("cifar10_jpeg_dssn", {})
    best = _best(list(runs.values()), radii)
    printed = pd.read_csv(HERE / "expected.csv").query("figure == 'dssn_table_cifar10_jpeg'").set_index("radius")
    first = next(iter(runs.values()))
    sigmas = ", ".join(f"{sigma:g}" for sigma in runs)
    epochs, examples = first.identity["training"]["epochs"], len(first.table)
    ours = f"ours: {epochs} epochs, {examples} images, the best of sigma = {sigmas}"
    paper = "the paper: 120 epochs, 10,000 images, the best of fifteen sigmas"
    rows = [
        [ours, *(percent(share, 1) for share in best)],
        [paper, *(percent(printed.loc[radius, "accuracy"], 2) for radius in radii)],
    ]
    return markdown(["certified accuracy at l1 radius", *(f"{radius:g}" for radius in radii)], rows)


def dssn_digits() -> str:
    return _best_of_methods("digits", (0.5, 1.0, 1.5, 2.0, 2.5))


def dssn_mnist() -> str:
    return _best_of_methods("mnist", (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0))


def _best_of_methods(data: str, radii: Sequence[float]) -> str:
    """The best certified accuracy over sigma, with and without stability training."""
    rows = []
    for stability, also in ((0.0, ""), (6.0, ", stability training")):
        for noise, name in NOISES.items():
            if runs := having(f"{data}_{noise}", {"training.stability": stability}):
                rows.append([name + also, *(percent(share, 1) for share in _best(runs, radii))])
    return markdown(["best certified accuracy at l1 radius", *(f"{radius:g}" for radius in radii)], rows)


def _best(runs: Sequence[StoredRun], radii: Sequence[float]) -> list[float]:
    return [max(float(np.mean(certified_radii(run) >= radius)) for run in runs) for radius in radii]


def dssn_mnist_radii() -> str:
    """The average certified l1 radius, and the evaluations for an image."""
    columns = {
        name + also: by_sigma(f"mnist_{noise}", {"training.stability": stability})
        for stability, also in ((0.0, ""), (6.0, ", stability training"))
        for noise, name in NOISES.items()
    }
    columns = {name: runs for name, runs in columns.items() if runs}
    rows = [
        [f"{sigma:g}", *(f"{average_radius(*rows_of(runs[sigma])):.3f}" for runs in columns.values())]
        for sigma in columns["DSSN"]
    ]
    taken = [_evaluations(runs[2.0]) for runs in columns.values()]
    rows.append(["evaluations for an image at sigma = 2", *map(count, taken)])
    return markdown(["sigma", *columns], rows)


def _evaluations(run: StoredRun) -> int:
    """Evaluations for an image; the largest number, if it differs."""
    table = run.table
    return int((table["n"] + table.get("n0", 0)).max())
