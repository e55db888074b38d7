"""Tables of center smoothing in docs/results.md: medians over the examples at each input radius."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from experiments.documents.runs import by_sigma, markdown, number, percent
from experiments.papers.kumar2021.certificates import OURS, PAPERS
from experiments.papers.kumar2021.curves import expectation_bound
from experiments.papers.kumar2021.faces import CLAIMED, READINGS, FaceCurves
from experiments.papers.kumar2021.medians import medians_of

EPS = (0.2, 0.4, 0.6, 0.8, 1.0)
CENTER = {"certifier.type": "CenterSmoothing", "training.noisy": True}
CLEAN = {"certifier.type": "CenterSmoothing", "training.noisy": False}  # trained without noise
BALANCED = {"certifier.type": "BalancedCenterSmoothing"}
BEST, MEDOID = {"certifier.center": None}, {"certifier.center": "medoid"}
OUT, ERROR = "eps_out", "smoothing_error"
Settings = dict[str, Any]


def _medians(experiment: str, settings: Settings) -> pd.DataFrame:
    """The medians of the runs with these settings, by h and eps_in, each rounded to three digits."""
    found = [medians_of(run) for run in by_sigma(experiment, settings).values()]
    table = pd.concat(found) if found else pd.DataFrame(columns=["h", "eps_in"])
    return table.set_index([[float(f"{x:.3g}") for x in table[name]] for name in ("h", "eps_in")])


def _line(
    name: str, found: pd.DataFrame, digits: int, column: str = OUT, h: float = 2, eps: Sequence[float] = EPS
) -> list[str]:
    """A row of medians at these input radii, with an empty cell where there is no run."""
    return [name, *(number(found.loc[(h, x), column], digits) if (h, x) in found.index else "" for x in eps)]


def faces() -> str:
    """The median eps_out of both certificates, in both interpretations of eps."""
    figure = FaceCurves(["faces_jaccard"], eps=[0.1, 0.2, 0.3, 0.4, 0.5], h=[2])
    found = pd.DataFrame([row for run in by_sigma("faces_jaccard", {}).values() for row in figure.rows(run)])
    found = found[found["bound"] == "exact"].set_index(["reading", "certificate", "eps_in"])
    examples = found.groupby("certificate")["examples"].max()
    units = dict(zip(READINGS, ("the paper's text, eps in [0, 1]", "the published code, eps in 0..255"), strict=True))
    rows = []
    for certificate in (PAPERS, OURS):
        for reading, name in units.items():
            out = [found.loc[(reading, certificate, eps), OUT] for eps in figure.eps]
            below = [eps for k, eps in enumerate(figure.eps) if max(out[: k + 1]) < CLAIMED]
            said = "all" if below == figure.eps else f"up to {below[-1]}" if below else "none"
            title = f"{certificate}, {examples[certificate]} photographs, units of {name}"
            rows.append([title, *(f"{x:.3f}" if x < 1 else "vacuous" for x in out), said])
    return markdown(["median eps_out, h = 2, at eps_in =", *map(str, figure.eps), f"below {CLAIMED}"], rows)


def generator() -> str:
    eps = (0.02, 0.0333, 0.05, 0.133, 0.2)
    rows = []
    for metric, name, digits in (
        ("tvd", "total variation", (0, 1)),
        ("l2", "l2", (2, 2)),
        ("perceptual", "squared feature distance", (2, 3)),
    ):
        found = _medians(f"generator_{metric}", {})
        rows.append(_line(f"{name}, h = 1: eps_out", found, digits[0], h=1, eps=eps))
        rows.append(_line("the same, smoothing error", found, digits[1], ERROR, h=1, eps=eps))
        rows.append(_line("the same at h = 1.5, eps_out", found, digits[0], h=1.5, eps=eps))
    return markdown(["eps_in (l2, of the latent)", "0.02", "0.033", *map(str, eps[2:])], rows)


def digits() -> str:
    center, balanced = _medians("digits_tvd", CENTER | BEST), _medians("digits_tvd", BALANCED)
    rows = [
        _line("eps_out", center, 1),
        _line("smoothing error", center, 2, ERROR),
        _line("eps_out without training noise", _medians("digits_tvd", CLEAN), 1),
        _line("balanced, eps_out", balanced, 1),
        ["balanced, abstained", *(percent(balanced.loc[(2, eps), "abstained"]) for eps in EPS)],
    ]
    return markdown(["eps_in (l2), h = 2", *map(str, EPS)], rows)


def digits_centers() -> str:
    """The medoid as center, and the best center."""
    found = {"medoid": _medians("digits_tvd", CENTER | MEDOID), "best": _medians("digits_tvd", CENTER | BEST)}
    rows = [_line(f"eps_out, {name}", table, 1) for name, table in found.items()]
    rows += [_line(f"smoothing error, {name}", table, 2, ERROR) for name, table in found.items()]
    return markdown(["digits, total variation, eps_in =", *map(str, EPS)], rows)


def mnist_2_epochs() -> str:
    return _mnist({"training.epochs": 2} | BEST)


def mnist_10_epochs() -> str:
    return _mnist({"training.epochs": 10} | MEDOID)


def _mnist(settings: Settings) -> str:
    """Both tasks and three distances, from the networks with this training and this center."""
    rows = []
    for task, name in (("mnist", "autoencoder"), ("mnist_reconstruction", "reconstruction")):
        found = _medians(f"{task}_tvd", CENTER | settings)
        rows.append(_line(f"{name}, total variation: eps_out", found, 1))
        rows.append(_line("the same, smoothing error", found, 1, ERROR))
        without = _medians(f"{task}_tvd", CLEAN | settings)
        rows.append(_line("the same without training noise, eps_out", without, 1))
        rows.append(_line("the same without training noise, smoothing error", without, 1, ERROR))
        rows.append(_line("the same at h = 1.5, eps_out", found, 1, h=1.5))
        bound = f"expectation smoothing: {expectation_bound(2, 28 * 28):.2f}"
        rows.append(_line(f"{name}, l2: eps_out ({bound})", _medians(f"{task}_l2", CENTER | settings), 2))
        found = _medians(f"{task}_angular", CENTER | settings)
        rows.append(_line(f"{name}, angular: eps_out", found, 3))
        rows.append(_line("the same at h = 1.5, eps_out", found, 3, h=1.5))
    return markdown(["eps_in (l2), h = 2", *map(str, EPS)], rows)


def mnist_epochs() -> str:
    """The same images at sigma = 0.3 after 2 and after 10 epochs, both with batches of 100."""
    rows = []
    for epochs, experiment in ((2, "mnist_tvd"), (10, "mnist_tvd_epochs")):
        found = _medians(experiment, CENTER | BEST | {"training.epochs": epochs, "noise.sigma": 0.3})
        cells = [*_line(f"{epochs} epochs", found, 1, eps=[0.6]), *_line("", found, 1, ERROR, eps=[0.6])[1:]]
        rows.append(cells)
    return markdown(["autoencoder, total variation, sigma = 0.3, h = 2", "eps_out", "smoothing error"], rows)
