"""Is a difference between two series more than the noise of the test set? As rows, and as text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from experiments.machine.words import counted
from experiments.papers.yours.series import Series, joined, names_in, pairs_of, sigma_text, unfinished_text
from experiments.papers.yours.values import largest_radius, outputs_at, round_radii
from experiments.report.significance import (
    FEWEST,
    LEVEL,
    fisher,
    holm,
    mcnemar,
    mean_difference,
    rank_sum,
    sign_test,
    signed_rank,
)
from experiments.report.symbols import SIGMA
from experiments.runs.reader import StoredRun

MOST_SHOWN = 12  # pairs in the terminal; the CSV has all
ACCURACY = "certified accuracy"
RADII = 6  # radii of the tests, if they are not given
OF_CLASSES = (
    "Differences of the ACR (average certified radius): bootstrap over examples, 95 % interval of the ACR alone; below "
    "30 examples it also contains Student's interval. Differences of "
    "certified accuracy in percentage points: McNemar's exact test on the same examples, Fisher's exact test on "
    "different ones. p is adjusted over the ACR and the radii (Holm): equal methods are called more than noise in at "
    "most 5 %."
)
OF_OUTPUTS = (
    "Differences of eps_out, with abstentions as infinity: exact sign test (p) and Wilcoxon's signed-rank test on the "
    "same examples, Mann-Whitney test on different ones. p is adjusted over eps_in (Holm)."
)
NOISE = (
    "Tests and intervals treat the test examples as a sample. Another training run may differ by more.",
    "Several pairs are tested: each has its own 5 % of false alarms.",
)


@dataclass(frozen=True)
class Pair:
    """Two series to compare, one run each.

    Attributes:
        one: the first.
        other: the second.
        paired: whether the examples that they have in common are the same data and enough; see `_enough`. Then only
            these are compared. Else all are, as different examples.
        common: number of examples that they have in common, if these are the same data; else 0.
        tables: their rows, in the same order of examples if paired. By index.
    """

    one: Series
    other: Series
    paired: bool
    common: int
    tables: tuple[pd.DataFrame, pd.DataFrame]

    @property
    def name(self) -> str:
        """Such as "ours minus theirs, sigma = 0.5"."""
        shared = names_in([self.one, self.other])
        same = joined(
            self.one.settings if self.one.settings == self.other.settings else "",
            sigma_text(self.one) if self.one.sigma == self.other.sigma else "",
        )
        return joined(" minus ".join(shared), same).replace(SIGMA, "sigma")

    @property
    def examples(self) -> str:
        one, other = (table.index.nunique() for table in self.tables)
        if self.paired:
            return counted(one, "common example")
        if self.common:
            return f"{one:,} and {other:,} examples, tested as different ones because only {self.common:,} are common"
        return f"{one:,} and {other:,} different examples"

    def row(self, **found: Any) -> dict[str, Any]:
        """A row of the table of tests."""
        sizes = [table.index.nunique() for table in self.tables]
        names = [joined(one.name, sigma_text(one)).replace(SIGMA, "sigma") for one in (self.one, self.other)]
        return {
            **{"one": names[0], "other": names[1], "paired": self.paired},
            **{"examples_one": sizes[0], "examples_other": sizes[1]},
            **found,
        }


def texts_of(series: Sequence[Series], radii: Sequence[float] | None, *, outputs: bool) -> dict[str, str]:
    """Tests of all pairs: "md", for readers, and "tests.csv". Empty if no two series are to be compared.

    Args:
        series: the series, of one run each.
        radii: radii of the tests of classes. None: round ones.
        outputs: whether outputs are certified. They are tested at each eps_in.
    """
    pairs = [_pair(one, other) for one, other in pairs_of(series)]
    if not pairs:
        return {}
    rows = [_output_rows(pair) if outputs else _class_rows(pair, radii) for pair in pairs]
    lines = [_text(pair, found) for pair, found in list(zip(pairs, rows, strict=True))[:MOST_SHOWN]]
    more = [f"{len(pairs) - MOST_SHOWN} more pairs are in the CSV."] if len(pairs) > MOST_SHOWN else []
    about = " ".join([OF_OUTPUTS if outputs else OF_CLASSES, *NOISE[: 1 + (len(pairs) > 1)], *more])
    left = unfinished_text(series).replace(SIGMA, "sigma")
    about = ". ".join(filter(None, (about.removesuffix("."), left))) + "."
    table = pd.DataFrame([row for some in rows for row in some])
    return {"md": "\n".join([*lines, "", about, ""]), "tests.csv": table.to_csv(index=False)}


def other_inputs(runs: Iterable[StoredRun]) -> set[int]:
    """The examples that are other data in some of the runs, by index: their hashes in examples.csv differ.

    An example without a hash may be any data.
    """
    listed: dict[int, str] = {}
    return {index for run in runs for index, found in run.inputs.items() if listed.setdefault(index, found) != found}


def _pair(one: Series, other: Series) -> Pair:
    tables = (one.run.table.set_index("index"), other.run.table.set_index("index"))
    common = tables[0].index.unique().intersection(tables[1].index.unique(), sort=False)
    same = other_inputs([one.run, other.run]).isdisjoint(common)
    same = same and _same_labels(*(table.loc[common] for table in tables))
    paired = same and _enough(len(common), [table.index.nunique() for table in tables])
    if paired:
        tables = (tables[0].loc[common], tables[1].loc[common])
    return Pair(one, other, paired, len(common) if same else 0, tables)


def _enough(common: int, sizes: Sequence[int]) -> bool:
    """Whether to compare the common examples alone: all are common, or at least 6 and half of the smaller run's.

    Otherwise a paired test of a few would overlook what all examples show.
    """
    return 0 < common == max(sizes) or (common >= FEWEST and 2 * common >= min(sizes))


def _same_labels(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether the labels contradict that examples of the same index are the same. Outputs have no labels."""
    if "label" not in one or "label" not in other:
        return True
    return one["label"].tolist() == other["label"].tolist()


def _class_rows(pair: Pair, radii: Sequence[float] | None) -> list[dict[str, Any]]:
    """A row for the ACR, and one for each radius. All p-values of a pair are adjusted together."""
    correct = [table["correct"].to_numpy(dtype=bool) for table in pair.tables]
    radius = [table["radius"].to_numpy(dtype=np.float64) for table in pair.tables]
    held = [np.where(c, r, 0.0) for c, r in zip(correct, radius, strict=True)]
    rows = []
    if all(np.isfinite(values).all() for values in held):
        found = mean_difference(held[0], held[1], paired=pair.paired)
        values = {"value_one": float(held[0].mean()), "value_other": float(held[1].mean())}
        interval = {"difference": found.mean, "low": found.low, "high": found.high}
        tested = {"p": found.p} if np.isfinite(found.low) else {}  # too few examples
        rows.append(pair.row(quantity="ACR", **values, **interval, **tested))
    flags = {}
    for at in radii or round_radii(largest_radius([pair.one, pair.other]), RADII):
        one, other = (c & (r >= at) for c, r in zip(correct, radius, strict=True))
        if one.any() or other.any():
            flags[at] = one, other
    for at, (one, other) in flags.items():
        values = {"value_one": float(one.mean()), "value_other": float(other.mean())}
        difference, p = values["value_one"] - values["value_other"], (mcnemar if pair.paired else fisher)(one, other)
        rows.append(pair.row(quantity=ACCURACY, at=at, **values, difference=difference, p=p))
    return _adjusted(rows)


def _adjusted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with p-values that are adjusted together, and whether they are significant. Rows without p are not."""
    tested = [row for row in rows if "p" in row]
    for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_adjusted"] = p
    return [row | {"significant": row.get("p_adjusted", 1.0) < 1 - LEVEL} for row in rows]


def _output_rows(pair: Pair) -> list[dict[str, Any]]:
    """A row for each eps_in that both have."""
    rows = []
    for at in sorted(pair.tables[0]["eps_in"].unique().tolist()):
        one, other = (outputs_at(table, at) for table in pair.tables)
        if not (len(one) and len(other)):
            continue
        if pair.paired:
            common = one.index.intersection(other.index)
            a, b = one.loc[common].to_numpy(), other.loc[common].to_numpy()
            signs = sign_test(a, b)
            counted = {"one_smaller": signs.smaller, "other_smaller": signs.larger, "tied": signs.tied}
            tested = {"p": signs.p, "p_signed_rank": signed_rank(a, b)}
        else:
            counted, tested = {}, {"p": rank_sum(one.to_numpy(), other.to_numpy())}
        rows.append(pair.row(quantity="eps_out", at=at, **counted, **tested))
    return _adjusted(rows)


def _text(pair: Pair, rows: list[dict[str, Any]]) -> str:
    """A pair's verdict and its tests, as a list in Markdown."""
    found = [row for row in rows if row["significant"]]
    at = ", ".join(f"{row['at']:.3g}" for row in found if "at" in row)
    where = ["ACR"] * any("at" not in row for row in found) + [f"at {_axis(rows[-1])} = {at}"] * bool(at)
    verdict = f"**more than the test set's noise**: {', '.join(where)}" if found else "within the test set's noise"
    head = f"- {pair.name}, {pair.examples}: {verdict if rows else 'they have no eps_in in common'}"
    acr = [f"ACR {_result(row)}" for row in rows if "at" not in row]
    points = [f"{_axis(row)} = {row['at']:.3g}: {_result(row)}" for row in rows if "at" in row]
    if rows and rows[-1]["quantity"] == ACCURACY:
        points = [f"accuracy at {'; '.join(points)}"]
    return "\n".join([head, *(f"  - {line}" for line in (*acr, *points))])


def _axis(row: dict[str, Any]) -> str:
    return "r" if row["quantity"] == ACCURACY else "eps_in"


def _result(row: dict[str, Any]) -> str:
    if "at" not in row:
        if "p" not in row:
            return f"{row['difference']:+.4f} (too few examples for an interval)"
        interval = f"[{row['low']:+.4f}, {row['high']:+.4f}]"
        return f"{row['difference']:+.4f} {interval} (p = {_p(row['p_adjusted'])})"
    p = f"p = {_p(row['p_adjusted'])}"
    if row["quantity"] == ACCURACY:
        return f"{round(100 * row['difference'], 1) + 0.0:+.1f} points ({p})"  # no -0.0
    if not row["paired"]:
        return p
    counts = f"first smaller on {row['one_smaller']}, second on {row['other_smaller']}, tied on {row['tied']}"
    return f"{counts} ({p}, signed rank {_p(row['p_signed_rank'])})"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"
