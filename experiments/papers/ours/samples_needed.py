"""Samples that the paper's bounds (Hoeffding, DKW) and exact binomial bounds need. Ours.

R_hat is the k-th smallest of m distances. The paper's bound takes k / m = q = p + sqrt(ln(1/alpha2) / (2m)). The exact
bound takes the least k that the binomial distribution allows. Equal k / m give equal eps_out up to chance.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy

from experiments.report.claims import verdicts
from experiments.report.text_table import Table
from smoothing import CenterSettings, Gaussian
from smoothing.statistics import (
    dkw_least_samples,
    dkw_order_statistic,
    exact_least_samples,
    exact_order_statistic,
    hoeffding_margin,
)

CLAIMS = Path(__file__).with_name("claims.csv")
PAPER = CenterSettings("paper", 0.05, 0.005, 0.005)  # section 5
COMPARED = ((2.0, 10**6), (1.5, 10**6), (1.0, 10**6), (2.0, 10**4), (1.0, 10**4))  # h, the paper's m
AT_ONCE = 2**16
SAMPLES = np.unique(np.geomspace(20, 10**6, 120).astype(int))
OUTSIDE_MARK = "*"
UNCLAIMED = "least m that certifies"  # for the table; no claim is about it


def mass_needed(h: float, settings: CenterSettings) -> float:
    """Algorithm 2's p = Phi(Phi^-1(1/2 + delta) + h), the mass that the ball around the center must contain at x."""
    return Gaussian(1.0).mass(0.5 + settings.delta, h)


def excess_mass(h: float, settings: CenterSettings) -> list[dict[str, Any]]:
    """For each bound and many m, the excess of k / m over p. No row if m distances certify nothing."""
    p, rows = mass_needed(h, settings), []
    for m in SAMPLES.tolist():
        for bound, order_statistic in (("exact", exact_order_statistic), ("paper", dkw_order_statistic)):
            k = order_statistic(p, m, settings.alpha2)
            if k is not None:
                rows.append({"h": h, "bound": bound, "m": m, "excess": k / m - p})
    return rows


def samples_compared(h: float, m: int, settings: CenterSettings) -> list[dict[str, Any]]:
    """What the paper's bound achieves with m distances, and how few the exact bound needs for no larger eps_out."""
    p = mass_needed(h, settings)
    q, k = p + hoeffding_margin(m, settings.alpha2), exact_order_statistic(p, m, settings.alpha2)
    numbers: dict[str, float | None] = {
        "p": p,
        "paper's q": q,
        "exact k/m": k / m if k else None,
        "least m with k/m <= q": least_samples_below(p, settings.alpha2, q),
        f"{UNCLAIMED}, exact": exact_least_samples(p, settings.alpha2),
        f"{UNCLAIMED}, paper": dkw_least_samples(p, settings.alpha2),
    }
    return [{"h": h, "m": m, "quantity": name, "ours": value} for name, value in numbers.items()]


def least_samples_below(p: float, alpha: float, q: float) -> int:
    """The least m for which some k <= q m makes the k-th order statistic an upper bound on the p-quantile.

    A larger k is more likely to be large enough, so only k = floor(q m) is tested. All m are tried, many at once.

    Args:
        p: probability of the quantile, in (0, 1).
        alpha: failure probability of the bound, in (0, 1).
        q: largest k / m; above p, at most 1.
    """
    start = 1
    while True:
        m = np.arange(start, start + AT_ONCE)
        found = m[scipy.stats.binom.sf(np.floor(q * m) - 1, m, p) <= alpha]
        for candidate in found.tolist():
            k = exact_order_statistic(p, candidate, alpha)
            if k is not None and k <= q * candidate:
                return int(candidate)
        start += AT_ONCE


def beside_claims(compared: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of `samples_compared` with new columns expected and within from claims.csv, and the verdicts."""
    table = compared.assign(said=[f"{row.quantity}, h = {row.h:g}, m = {row.m}" for row in compared.itertuples()])
    case = f"delta = {PAPER.delta:g}, alpha2 = {PAPER.alpha2:g}"
    numbers = table[~table["quantity"].str.startswith(UNCLAIMED)].set_index("said")["ours"].dropna()
    claims = verdicts(CLAIMS, "center_exact_bounds", {said: {case: value} for said, value in numbers.items()})
    known = claims.set_index("quantity")[["paper", "within"]].rename(columns={"paper": "expected"})
    return table.join(known, on="said").drop(columns="said"), claims


def table_of(compared: pd.DataFrame) -> Table:
    """The samples as title, header and lines of text, with the numbers of claims.csv in parentheses."""
    quantities = list(compared["quantity"].unique())
    lines = []
    for (h, m), rows in compared.groupby(["h", "m"], sort=False):
        cells = []
        for row in rows.to_dict("records"):
            cell = _number(row["ours"])
            if not np.isnan(row["expected"]):
                cell += f" ({_number(row['expected'])}){'' if row['within'] else OUTSIDE_MARK}"
            cells.append(cell)
        lines.append([f"{h:g}", f"{m:,}", *cells])
    title = (
        f"Samples needed by the paper's bound and the exact bound, delta = {PAPER.delta:g}, alpha2 = {PAPER.alpha2:g}. "
        f"In parentheses: claims.csv; {OUTSIDE_MARK}: outside its tolerance"
    )
    return title, ["h", "the paper's m", *quantities], lines


def _number(value: float) -> str:
    return f"{value:.5f}" if value < 1 else f"{value:,.0f}"
