"""Coverage and size of conformal sets under attack: robust sets (BinCP) beside ordinary ones."""

from math import nan
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.report.certified_accuracy import share_band
from experiments.report.claims import verdicts
from experiments.report.figure import LINES, Drawing, Figure
from experiments.report.layout import head, panels
from experiments.report.left_out import another, not_in
from experiments.report.measured import Measured, measured
from experiments.report.symbols import IN, NORMS, sigma_text
from experiments.report.titles import examples_text, title_of
from experiments.runs.input_space import input_space
from experiments.runs.reader import StoredRun, sigma_of, started

CLAIMS = Path(__file__).with_name("claims.csv")
ATTACK, PLAIN = "ConformalAttack", "ConformalSets"
SETS = {"robust": "robust", "smoothed": "ordinary, smoothed scores", "base": "ordinary, base scores"}
SHARED = ("n", "p", "alpha", "beta", "held_out", "score")  # settings of both certifiers
OLDER = "another run has the same settings, and is newer"


class ConformalCurves(Figure):
    """Coverage and average size of three kinds of sets against the radius of the attack, from runs of
    `ConformalAttack`; and of the robust sets without an attack, where there is a run of `ConformalSets`.

    Args:
        experiments: see `Figure`.
    """

    also = "certifier=conformal_attack"

    def why_not(self, run: StoredRun) -> str:
        return another(run, "certifier", ATTACK, PLAIN) or another(run, "noise", "Gaussian")

    def setting(self, run: StoredRun) -> dict[str, Any]:
        certifier = {name: run.identity["certifier"].get(name) for name in SHARED}
        return run.identity | {"certifier": certifier}

    def why_not_drawn(self, runs: list[StoredRun]) -> str:
        return "" if _newest(runs, ATTACK) else f"it needs a run with {self.also} too"

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in([run for kind in (ATTACK, PLAIN) if (run := _newest(runs, kind))], runs, OLDER)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        run, plain = _newest(runs, ATTACK), _newest(runs, PLAIN)
        assert run  # see `why_not_drawn`
        alpha, classes = float(run.identity["certifier"]["alpha"]), int(run.table["classes"].iloc[0])
        parts = [_summary(run.table, kind, f"{kind}_size", name) for kind, name in SETS.items()]
        if plain:
            parts.append(_summary(_with_coverage(plain.table), "covered", "size", "robust, no attack"))
        figure, axes = panels(2, 2.9)
        for k, part in enumerate(parts):
            for axis, values in zip(axes, (100 * part["coverage"], part["size"]), strict=True):
                axis.plot(part["eps_in"], values, color=f"C{k}", linestyle=LINES[k], label=part["sets"].iloc[0])
        axes[0].axhline(100 * (1 - alpha), color="0.6", lw=0.8, zorder=0)
        axes[0].set(ylabel="sets with the right class (%)", ylim=(0, 104))
        axes[1].set(ylabel="average number of classes", ylim=(0, None))
        space = input_space(run.record)
        for axis in axes:
            axis.set_xlabel(f"{IN} ({NORMS[space.norm]}, {space.units})")
        name = str(run.record["config"]["name"])
        head(
            figure,
            f"{title_of(name)}, {sigma_text(sigma_of(run))}",
            f"{examples_text([run.table['index'].nunique()])}, attacked; gray line: what robust sets promise",
        )
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        table = pd.concat(parts, ignore_index=True)
        return Drawing(figure, table, _verdicts(run, parts[0], alpha, classes), _notes(parts))


def _newest(runs: list[StoredRun], certifier: str) -> StoredRun | None:
    kind = [run for run in runs if run.identity["certifier"]["type"] == certifier]
    return max(kind, key=started, default=None)


def _with_coverage(table: pd.DataFrame) -> pd.DataFrame:
    held = [str(label) in str(some).split() for label, some in zip(table["label"], table["classes"], strict=True)]
    return table.assign(covered=held)


def _summary(table: pd.DataFrame, held: str, size: str, name: str) -> pd.DataFrame:
    """The coverage and the average size at each radius, with a 95 % interval over the test examples."""
    rows = []
    for eps, some in table.groupby("eps_in"):
        count, found = len(some), int(some[held].astype(bool).sum())
        low, high = share_band(found, count)
        row = {"sets": name, "eps_in": eps, "coverage": found / count, "low": low, "high": high}
        rows.append(row | {"size": float(some[size].mean()), "examples": count})
    return pd.DataFrame(rows)


def _verdicts(run: StoredRun, robust: pd.DataFrame, alpha: float, classes: int) -> pd.DataFrame:
    """Sets of more than half of the classes on average say too little: no check holds of them."""
    says = dict(zip(robust["eps_in"], robust["size"] <= classes / 2, strict=True))
    lacking = {
        f"eps = {row.eps_in:g}": 1 - alpha - row.coverage if says[row.eps_in] else nan for row in robust.itertuples()
    }
    largest = float(robust["eps_in"].max())
    some = run.table[run.table["eps_in"] == largest].set_index("index")
    less = {}
    for kind in ("smoothed", "base"):
        found = measured(
            lambda values: float((values[0] - values[1]).mean()), some[kind].astype(float), some["robust"].astype(float)
        )
        less[SETS[kind]] = found if says[largest] else Measured(found.value, nan)
    ours: dict[str, dict[str, Any]] = {
        "1 - alpha less the coverage of robust sets under attack": lacking,
        "coverage of ordinary sets less that of robust ones under the largest attack": less,
    }
    return verdicts(CLAIMS, "conformal_sets", ours)


def _notes(parts: list[pd.DataFrame]) -> list[str]:
    found = []
    for part in parts:
        first, last = part.iloc[0], part.iloc[-1]
        found.append(
            f"{part['sets'].iloc[0]}: coverage {first['coverage']:.1%} at radius {first['eps_in']:g}, "
            f"{last['coverage']:.1%} at {last['eps_in']:g}; {first['size']:.2f} and {last['size']:.2f} classes"
        )
    return found
