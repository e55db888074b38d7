"""Table 1 of Levine and Feizi: the best certified accuracy over sigma at each radius, for each method."""

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
from experiments.report.claims import all_rows, judged, number_rows, share_tolerances
from experiments.report.figure import Drawing
from experiments.report.left_out import NOT_LISTED
from experiments.report.text_table import texts
from experiments.runs.reader import StoredRun, experiment_of

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
        best.loc[best["accuracy"] == 0, ["sigma", "clean_accuracy"]] = np.nan  # no classifier certifies this radius
        table = _beside_paper(self.expected, best) if self.expected else best
        name, sizes = self.drawn_as(runs[0]), sorted({len(run.table) for run in runs})
        examples = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        caption = (
            f"Best certified accuracy over sigma at l1 radii in [0, 1] pixel units, {name}, {examples} test examples; "
            "in parentheses: clean accuracy and sigma of the best classifier"
        )
        tables = [(caption, *_grid(table))]
        if self.expected:
            beside = (
                "Compared with the paper; differences in percentage points; clean accuracies are compared if the same "
                f"sigma is best; {OUTSIDE_MARK}: outside the tolerance"
            )
            tables.append((beside, *_comparison(table)))
        claims = levine_verdicts(CLAIMS, _quantities(table, name))
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


def _beside_paper(figure: str, table: pd.DataFrame) -> pd.DataFrame:
    """Add the paper's numbers. A clean accuracy is judged only if the same sigma is best. Sigmas are not judged."""
    expected = pd.read_csv(HERE / "expected.csv").query("figure == @figure").drop(columns="figure")
    printed = expected.rename(columns={name: f"paper_{name}" for name in ("accuracy", "clean_accuracy", "sigma")})
    both = table.merge(printed, on=["method", "radius"], how="left")
    same = both["sigma"] == both["paper_sigma"]
    both["difference"] = both["accuracy"] - both["paper_accuracy"]
    settings = (both[name] for name in ("paper_accuracy", "allowance", "population", "examples"))
    both["tolerance"] = share_tolerances(*settings)
    both["within"] = judged(both["difference"], both["tolerance"])
    both["clean_difference"] = (both["clean_accuracy"] - both["paper_clean_accuracy"]).where(same)
    both["clean_within"] = judged(both["clean_difference"], both["tolerance"])
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


def _quantities(table: pd.DataFrame, name: str) -> dict[str, dict[str, float]]:
    """The quantities of table 1 in claims.csv."""
    best = table.pivot(index="radius", columns="method", values="accuracy")

    def excess(case: str, lower: str, upper: str, below: float = np.inf) -> dict[str, float]:
        """How far `lower` rises above `upper`, at most, over the radii at which either is above 0."""
        if not {lower, upper} <= set(best):
            return {}
        pair = best.loc[(best.index < below) & (best[[lower, upper]].max(axis=1) > 0), [lower, upper]]
        return {case: float((pair[lower] - pair[upper]).max())} if len(pair) else {}

    without, trained = "uniform", "uniform + stability"
    return {
        "largest best certified accuracy of uniform noise above DSSN's at a radius": {
            **excess(f"{name}, without stability training", without, "DSSN"),
            **excess(f"{name}, with stability training", trained, "DSSN + stability"),
        },
        "largest best certified accuracy of uniform noise without stability training above that with it": excess(
            name, without, trained
        ),
        "largest best certified accuracy of DSSN with stability training above that without it at a radius below 3": (
            excess(name, "DSSN + stability", "DSSN", below=3.0)
        ),
    }


def _sigma_notes(runs: dict[Classifier, StoredRun]) -> list[str]:
    """For each method, a note with the sigmas over which the best is taken."""
    by_method: dict[str, list[float]] = {}
    for classifier in runs:
        by_method.setdefault(classifier.label, []).append(classifier.sigma)
    return [f"{label}: best over sigma = {', '.join(f'{s:g}' for s in sigmas)}" for label, sigmas in by_method.items()]
