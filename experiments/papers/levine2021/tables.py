"""Table 1 of Levine and Feizi: the best certified accuracy over sigma at each radius, for each method."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from experiments.papers.levine2021.results import (
    DENOISED,
    HERE,
    Classifier,
    LevineFigure,
    accuracy_at,
    classifiers,
    clean_accuracy,
    denoiser_of,
    example_notes,
    levine_verdicts,
)
from experiments.report.certified_accuracy import Values, better_than_one_class, certified_radii
from experiments.report.claims import all_rows, judged, number_rows, share_tolerances
from experiments.report.figure import Drawing
from experiments.report.left_out import NOT_LISTED
from experiments.report.measured import Measured, measured
from experiments.report.text_table import texts
from experiments.report.titles import examples_text, title_of
from experiments.runs.reader import StoredRun, experiment_of

Chosen = dict[tuple[str, float], StoredRun]  # by method and radius, the classifier with the best certified accuracy
OUTSIDE_MARK = "*"
CLAIMS = "dssn_table_cifar10"  # id in claims.csv, for every data set


class BestAccuracyTable(LevineFigure):
    """Best certified accuracy over sigma, with the clean accuracy and the sigma of the best classifier.

    Args:
        experiments: see `Figure`.
        radii: l1 radii, > 0, in the units of the input.
        expected: id in expected.csv of the numbers to compare with. If given, only runs of `experiments` are used.
    """

    def __init__(self, experiments: list[str], radii: list[float], expected: str | None = None) -> None:
        super().__init__(experiments)
        self.radii, self.expected = radii, expected

    def why_not(self, run: StoredRun) -> str:
        listed = not self.expected or experiment_of(run) in self.experiments
        return super().why_not(run) or (DENOISED if denoiser_of(run) else "") or ("" if listed else NOT_LISTED)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        found = classifiers(runs)
        every = pd.concat([_rows(c, run, np.array(self.radii)) for c, run in found.items()], ignore_index=True)
        best = every.loc[every.groupby(["method", "radius"], sort=False)["accuracy"].idxmax()].reset_index(drop=True)
        runs_of = {(c.label, c.sigma): run for c, run in found.items()}
        chosen = {(row.method, row.radius): runs_of[row.method, row.sigma] for row in best.itertuples()}
        works = [better_than_one_class(run) for run in chosen.values()]
        best.loc[best["accuracy"] == 0, ["sigma", "clean_accuracy"]] = np.nan  # no classifier certifies this radius
        table = _beside_paper(self.expected, best, works) if self.expected else best
        name, examples = self.drawn_as(runs[0]), examples_text(len(run.table) for run in runs)
        caption = (
            f"Best certified accuracy over sigma at l1 radii in [0, 1] pixel units, {title_of(name)}, {examples}; "
            "in parentheses: clean accuracy and sigma of the best classifier"
        )
        tables = [(caption, *_grid(table))]
        if self.expected:
            beside = (
                "Compared with the paper; differences in percentage points; clean accuracies are compared if the same "
                f"sigma is best; {OUTSIDE_MARK}: outside the tolerance"
            )
            tables.append((beside, *_comparison(table)))
        claims = levine_verdicts(CLAIMS, _quantities(chosen, name))
        if self.expected:
            cases = [f"{row.method}, r = {row.radius:g}" for row in table.itertuples()]
            named = table.rename(columns={"paper_accuracy": "paper"})
            printed = number_rows(named, "table 1", "best certified accuracy over sigma", cases, "accuracy")
            claims = all_rows(printed, claims)
        return Drawing(None, table, claims, [*_sigma_notes(found), *example_notes(found)], texts(tables))


def _rows(classifier: Classifier, run: StoredRun, radii: np.ndarray) -> pd.DataFrame:
    accuracy = accuracy_at(run, radii).assign(sigma=classifier.sigma, clean_accuracy=clean_accuracy(run))
    accuracy.insert(0, "method", classifier.label)
    return accuracy


def _beside_paper(figure: str, table: pd.DataFrame, works: list[bool]) -> pd.DataFrame:
    """Add the paper's numbers. A clean accuracy is judged only if the same sigma is best. Sigmas are not judged.

    `works` says for each row whether its classifier is better than one class for every example. If not, or if it
    certifies nothing, its numbers agree with nothing that the paper prints.
    """
    expected = pd.read_csv(HERE / "expected.csv").query("figure == @figure").drop(columns="figure")
    printed = expected.rename(columns={name: f"paper_{name}" for name in ("accuracy", "clean_accuracy", "sigma")})
    both = table.merge(printed, on=["method", "radius"], how="left")
    same = both["sigma"] == both["paper_sigma"]
    both["difference"] = both["accuracy"] - both["paper_accuracy"]
    settings = (both[name] for name in ("paper_accuracy", "allowance", "population", "examples"))
    both["tolerance"] = share_tolerances(*settings).where(pd.Series(works) & (both["accuracy"] > 0))
    both["within"] = judged(both["difference"], both["tolerance"]).where(both["paper_accuracy"].notna(), None)
    both["clean_difference"] = (both["clean_accuracy"] - both["paper_clean_accuracy"]).where(same)
    both["clean_within"] = judged(both["clean_difference"], both["tolerance"]).where(same, None)
    return both


def _cell(accuracy: float, clean: float, sigma: float, *, digits: int = 1, bold: bool = False) -> str:
    """A cell such as 70.5% (84.0% @ 0.5): certified accuracy (clean accuracy @ sigma). If it is 0, nothing else."""
    certified = f"**{accuracy:.{digits}%}**" if bold else f"{accuracy:.{digits}%}"
    return certified if np.isnan(sigma) else f"{certified} ({clean:.{digits}%} @ {sigma:g})"


def _grid(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """One line per radius and one column per method. The best method of each line is bold."""
    largest = table.groupby("radius")["accuracy"].max()
    lines = []
    for radius, part in table.groupby("radius"):
        cells = [
            _cell(e.accuracy, e.clean_accuracy, e.sigma, bold=e.accuracy == largest[radius] > 0)
            for e in part.itertuples()
        ]
        lines.append([f"{radius:g}", *cells])
    return ["radius", *table["method"].unique()], lines


def _comparison(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """One line for each of the paper's numbers that has runs."""
    lines = []
    for e in table.dropna(subset="paper_accuracy").itertuples():
        paper = _cell(e.paper_accuracy, e.paper_clean_accuracy, e.paper_sigma, digits=2)
        ours = _cell(e.accuracy, e.clean_accuracy, e.sigma, digits=2)
        judged = [f"{100 * e.difference:+.2f}", f"{100 * e.tolerance:.1f}", "yes" if e.within else "no"]
        clean = "" if np.isnan(e.clean_difference) else f"{100 * e.clean_difference:+.2f}"
        outside = OUTSIDE_MARK * (e.clean_within is False)
        lines.append([e.method, f"{e.radius:g}", paper, ours, *judged, clean + outside])
    return ["method", "radius", "paper", "ours", "difference", "tolerance", "within", "clean difference"], lines


def _quantities(chosen: Chosen, name: str) -> dict[str, dict[str, Measured]]:
    """The quantities of table 1 in claims.csv."""
    without, trained = ("uniform", "DSSN"), ("uniform + stability", "DSSN + stability")
    both = {f"{name}, without stability training": without, f"{name}, with stability training": trained}
    found = [_excess(chosen, case, summary, *pair) for summary in (np.max, np.mean) for case, pair in both.items()]
    largest, mean = found[0] | found[1], found[2] | found[3]
    return {
        "largest best certified accuracy of uniform noise above DSSN's at a radius": {
            case: Measured(excess.value, 0 * excess.noise) for case, excess in largest.items()
        },
        "mean best certified accuracy of uniform noise less DSSN's over the radii": mean,
        "largest best certified accuracy of uniform noise without stability training above that with it": (
            _excess(chosen, name, np.max, without[0], trained[0])
        ),
        "largest best certified accuracy of DSSN with stability training above that without it at a radius below 3": (
            _excess(chosen, name, np.max, trained[1], without[1], below=3.0)
        ),
    }


def _excess(
    chosen: Chosen, case: str, summary: Callable[[Values], float], lower: str, upper: str, below: float = np.inf
) -> dict[str, Measured]:
    """How far `lower` is above `upper`, summarised over the radii at which either certifies something.

    Empty if a method has no runs. Void if a classifier is no better than one class for every example.
    """
    if not {lower, upper} <= {method for method, _ in chosen}:
        return {}
    radii = [radius for method, radius in chosen if method == lower and radius < below]
    samples = {(method, radius): _certified_at(chosen[method, radius], radius) for method, radius in chosen}
    shown = [radius for radius in radii if samples[lower, radius].any() or samples[upper, radius].any()]
    if not shown:
        return {case: Measured(np.nan, np.nan)}
    used = [(method, radius) for method in (lower, upper) for radius in shown]

    def statistic(shares: Values) -> float:
        first, second = np.split(np.nanmean(shares, axis=1), 2)
        return float(summary(first - second))

    found = measured(statistic, *(samples[place] for place in used))
    works = all(better_than_one_class(chosen[place]) for place in used)
    return {case: found if works else Measured(found.value, np.nan)}


def _certified_at(run: StoredRun, radius: float) -> "pd.Series[float]":
    return (certified_radii(run) >= radius).astype(float)


def _sigma_notes(runs: dict[Classifier, StoredRun]) -> list[str]:
    """For each method, a note with the sigmas over which the best is taken."""
    by_method: dict[str, list[float]] = {}
    for classifier in runs:
        by_method.setdefault(classifier.label, []).append(classifier.sigma)
    return [f"{label}: best over sigma = {', '.join(f'{s:g}' for s in sigmas)}" for label, sigmas in by_method.items()]
