"""Ours: what a bound on every other class is worth, against p_B <= 1 - p_A, from the same counts."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.config.identity import identity_hash
from experiments.config.settings import Group
from experiments.report.certified_accuracy import average_radius
from experiments.report.claims import verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import Drawing, Figure
from experiments.report.layout import head, panels
from experiments.report.left_out import OLDER, another, not_in, trained_otherwise
from experiments.report.symbols import NORMS, P_A, P_B, SIGMA
from experiments.report.text_table import texts
from experiments.report.titles import title_of, wrapped
from experiments.runs.reader import StoredRun, oldest_first, sigma_of
from smoothing import Certify, Gaussian, Noise, SettingError, Splitting, Uniform
from smoothing.class_bounds import RUNNER_UP

CLAIMS = Path(__file__).with_name("claims.csv")
NOISES = {  # by class: the word in experiments' names, and the text
    "Gaussian": ("gaussian", "Gaussian noise"),
    "Uniform": ("uniform", "uniform noise"),
    "Splitting": ("ssn", "splitting noise"),
}
STYLES = {"complement": ("before", "C1", "white", "--"), "bounded": ("after", "C0", "C0", "-")}
TRAININGS = {"stability = 0": "without stability training", "stability = 6": "with stability training"}
LETTERS = 26  # of a line of a panel's title
NEEDED = {"label", "guess", "n_a", "n_b", "n", "n0", "radius"}
COLUMNS = ("acr", "correct", "abstained")  # of either reading
READ = ("acr_complement", "acr_bounded")


class RunnerUp(Figure):
    """Average certified radius (ACR) against sigma with either bound on the runner-up; one panel per experiment.

    The counts of each example are those of the stored row. Only the bounds on the probabilities are computed again, at
    the same alpha. Runs that differ in their training or certifier are curves of their own.

    Args:
        experiments: see `Figure`.
        classes: number of classes of the runs that do not record them.
    """

    def __init__(self, experiments: list[str], classes: int) -> None:
        super().__init__(experiments)
        self.classes = classes

    def why_not(self, run: StoredRun) -> str:
        if why := another(run, "certifier", "Certify") or another(run, "noise", *NOISES):
            return why
        return trained_otherwise(run) or ("" if set(run.table) >= NEEDED else "its rows lack the counts to read again")

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in([run for group in by_experiment(runs).values() for run in group], runs, OLDER)

    def drawn_as(self, run: StoredRun) -> str:
        return "average_radius"

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {}

    def draw(self, runs: list[StoredRun]) -> Drawing:
        grouped = by_experiment(runs)
        table = self.table(grouped)
        lines = list(table.groupby(["panel", "curve"], sort=False))
        figure, axes = panels(len(lines))
        drawn = []
        for axis, ((title, curve), shown) in zip(axes, lines, strict=True):
            first = grouped[title][0]
            drawn.append(_plot(axis, shown))
            name = title_of(first.record["config"]["name"])
            training = TRAININGS.get(str(curve)) or wrapped(str(curve), LETTERS)
            axis.set_title("\n".join(filter(None, (wrapped(name, LETTERS), training))))
            axis.set(xlabel=f"noise level {SIGMA}", ylabel=f"average {NORMS[noise_of(first).threat_norm]} radius")
            axis.set(xlim=(0, 1.05 * shown["sigma"].max()), ylim=(0, 1.12 * shown[list(READ)].max(axis=None)))
            axis.xaxis.set_major_formatter("{x:g}")
        about = f"before: {P_B} is at most 1 - {P_A}; after: a bound on every other class"
        head(figure, "Average certified radius, from the same counts", about)
        name_curves(figure, zip(axes, drawn, strict=True))
        return Drawing(figure, table, self._claims(table), _notes(table), _texts(table))

    def table(self, grouped: dict[str, list[StoredRun]]) -> pd.DataFrame:
        """Both readings of each run, by panel and curve."""
        rows = [
            {"panel": title, "curve": curve, "sigma": sigma_of(run)} | self._compared(run)
            for title, group in grouped.items()
            for run, curve in zip(group, curves_of(group), strict=True)
        ]
        return pd.DataFrame(rows).sort_values(["panel", "curve", "sigma"], key=_in_order(grouped), ignore_index=True)

    def _compared(self, run: StoredRun) -> dict[str, Any]:
        """Both readings of a run."""
        classes = self._classes(run)
        own = run.identity["certifier"]
        found: dict[str, Any] = {"examples": len(run.table), "n": own["n"], "alpha": own["alpha"], "classes": classes}
        radii = {}
        for reading in RUNNER_UP:
            certifier = certifier_of(run, reading, classes)
            again = [certifier.read_again(row) for row in run.table.to_dict("records")]
            radii[reading] = np.array([c.radius for c in again])
            correct = np.array([c.prediction for c in again]) == run.table["label"].to_numpy()
            abstained = float(np.mean([c.status == "abstained" for c in again]))
            values = (average_radius(correct, radii[reading]), float(np.mean(correct)), abstained)
            found |= {f"{name}_{reading}": value for name, value in zip(COLUMNS, values, strict=True)}
            if reading == own.get("runner_up", RUNNER_UP[0]):
                found["difference"] = float(np.abs(radii[reading] - run.table["radius"].to_numpy(dtype=float)).max())
        loss = radii["complement"] - radii["bounded"]
        return found | {"largest_loss": float(max(0.0, loss.max())), "largest_gain": float(max(0.0, -loss.min()))}

    def _classes(self, run: StoredRun) -> int:
        """The number of classes. Raises SettingError if the rows show that there are more."""
        classes = len(run.record.get("classes") or []) or self.classes
        largest = int(run.table[["label", "guess"]].to_numpy().max())
        if largest >= classes:
            raise SettingError(f"figure.classes: {run.folder} has the class {largest}, so more than {classes} classes")
        return classes

    def _claims(self, table: pd.DataFrame) -> pd.DataFrame:
        cases = [", ".join(filter(None, (row.panel, row.curve))) for row in table.itertuples()]
        measured = {
            "largest difference between a radius read again and the stored radius": table["difference"],
            "largest share that abstains only with a bound on every other class": table["abstained_bounded"]
            - table["abstained_complement"],
            "largest average certified radius without a bound on every other class over that with it": table[
                "acr_complement"
            ]
            / table["acr_bounded"],
        }
        each = pd.DataFrame(measured).groupby(cases, sort=False).max()
        return verdicts(CLAIMS, "runner_up", {name: each[name].dropna().to_dict() for name in each})


def by_experiment(runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
    """Runs by panel title, sorted by sigma. Of runs that differ only in their weights, the latest is kept."""
    latest: dict[str, StoredRun] = {}
    for run in oldest_first(runs):
        latest[identity_hash(_without_weights(run))] = run
    kept = sorted(latest.values(), key=lambda run: (list(NOISES).index(run.identity["noise"]["type"]), sigma_of(run)))
    grouped: dict[str, list[StoredRun]] = {}
    for run in kept:
        grouped.setdefault(_title(run), []).append(run)
    return grouped


def _title(run: StoredRun) -> str:
    """The data of an experiment and its noise; `digits_ssn` becomes "digits, splitting noise"."""
    name, noise = run.record["config"]["name"], run.identity["noise"]["type"]
    words, text = NOISES[noise]
    return f"{name.removesuffix('_' + words).replace('_', ' ')}, {text}"


def curves_of(group: list[StoredRun]) -> list[str]:
    """The name of each run's curve: the settings of training and certifier in which the runs of a panel differ."""
    settings = [
        {name: value for part in ("training", "certifier", "model") for name, value in _flat(run, part)}
        for run in group
    ]
    names = sorted({name for own in settings for name in own})
    apart = [name for name in names if len({str(own.get(name)) for own in settings}) > 1]
    return [", ".join(f"{name} = {_written(own.get(name))}" for name in apart) for own in settings]


def _flat(run: StoredRun, part: str) -> list[tuple[str, Any]]:
    return [item for item in _without_weights(run).get(part, {}).items() if item[0] not in ("noise", "noisy")]


def _written(value: Any) -> str:
    if value is None:
        return "default"
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _without_weights(run: StoredRun) -> dict[str, Any]:
    same = dict(run.identity)
    if "training" in same:
        same["training"] = {key: value for key, value in same["training"].items() if key != "weights"}
    return same


def noise_of(run: StoredRun) -> Noise:
    """The run's noise. The levels of splitting noise come from the class of the data set, so no data is needed."""
    sigma, grid = sigma_of(run), run.identity.get("grid")
    match run.identity["noise"]["type"]:
        case "Gaussian":
            return Gaussian(sigma, grid)
        case "Uniform":
            return Uniform(sigma, grid)
        case _:
            dataset: Any = Group.from_dict(run.record["config"]["dataset"]).located
            return Splitting(sigma, dataset.levels)


def certifier_of(run: StoredRun, runner_up: str, classes: int) -> Certify:
    """The run's certifier, with its alpha, and another bound on the runner-up. It only reads rows again."""
    own = run.identity["certifier"]
    samples = {name: own[name] for name in ("n0", "n", "alpha")}
    return Certify(
        f=lambda x: x,
        noise=noise_of(run),
        **samples,
        runner_up=runner_up,
        bound=own.get("bound", "exact"),
        num_classes=classes,
        seed=run.identity["seed"],
    )


def _in_order(grouped: dict[str, list[StoredRun]]) -> Any:
    place = {title: i for i, title in enumerate(grouped)}
    return lambda column: column.map(place) if column.name == "panel" else column


def _plot(axis: Axes, table: pd.DataFrame) -> list[Curve]:
    """Draw both readings of a curve, and return them with their names."""
    drawn = []
    for reading, (name, color, face, line) in STYLES.items():
        sigma, radius = table["sigma"].to_numpy(), table[f"acr_{reading}"].to_numpy()
        axis.plot(sigma, radius, marker="o", ls=line, color=color, mfc=face, label=name)
        drawn.append(Curve(sigma, radius, name, color))
    return drawn


def _notes(table: pd.DataFrame) -> list[str]:
    change = table["acr_bounded"] - table["acr_complement"]
    most = table.loc[change.idxmax()]
    return [
        f"ACR (average certified radius): larger at {(change > 0).sum()} of {len(table)} points, smaller at "
        f"{(change < 0).sum()}, there by at most {max(0.0, -change.min()):.4f}",
        f"largest gain: {', '.join(filter(None, (most['panel'], most['curve'])))}, sigma = {most['sigma']:g}: "
        f"{most['acr_complement']:.4f} to {most['acr_bounded']:.4f}",
        f"largest loss of radius of a single example: {table['largest_loss'].max():.4f}",
    ]


def _texts(table: pd.DataFrame) -> dict[str, str]:
    header = ["experiment", "sigma", "ACR", "certified and correct", "abstained", "largest loss", "largest gain"]
    lines = []
    for row in table.to_dict("records"):
        name = ", ".join(filter(None, (row["panel"], row["curve"])))
        acr, correct, abstained = ([row[f"{column}_{reading}"] for reading in RUNNER_UP] for column in COLUMNS)
        shares = [" / ".join(f"{share:.0%}" for share in pair) for pair in (correct, abstained)]
        radii = [f"{row[column]:.4f}" for column in ("largest_loss", "largest_gain")]
        lines.append([name, f"{row['sigma']:g}", " / ".join(f"{r:.4f}" for r in acr), *shares, *radii])
    title = (
        "Before / after: p_B at most 1 - p_A, as in the paper, and a bound on every other class, from the same counts"
    )
    return texts([(title, header, lines)])
