"""Samples that the paper's bounds and exact bounds need: they match brute force and reference values."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

from experiments.papers.ours.samples_needed import (
    COMPARED,
    PAPER,
    beside_claims,
    excess_mass,
    least_samples_below,
    mass_needed,
    samples_compared,
)
from smoothing.statistics import exact_order_statistic

ALPHA = 0.005


def brute_force_least(p, alpha, q):
    """Try every m in turn and every k up to q m, by the definition."""
    m = 1
    while not any(binom.sf(k - 1, m, p) <= alpha for k in range(1, math.floor(q * m) + 1)):
        m += 1
    return m


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.7), (0.87, 0.93), (0.9, 1.0)])
def test_least_samples_by_brute_force(p, q):
    assert least_samples_below(p, ALPHA, q) == brute_force_least(p, ALPHA, q)


def test_least_samples_beyond_the_first_block():
    p = norm.cdf(norm.ppf(0.55) + 1)
    m = least_samples_below(p, ALPHA, p + 0.0016)
    assert m > 2**16
    assert exact_order_statistic(p, m, ALPHA) <= (p + 0.0016) * m
    assert exact_order_statistic(p, m - 1, ALPHA) > (p + 0.0016) * (m - 1)


def test_the_reference_table():
    table, claims = beside_claims(pd.DataFrame([row for h, m in COMPARED for row in samples_compared(h, m, PAPER)]))
    known = table[table["expected"].notna()]
    assert len(known) == 20
    assert known["within"].all()
    assert len(claims) == 20
    assert set(claims["kind"]) == {"ours"}  # no paper has them
    assert table[table["expected"].isna()]["within"].isna().all()
    for least in known[known["quantity"].str.startswith("least m")].itertuples():
        (q,) = table.query('h == @least.h and m == @least.m and quantity == "paper\'s q"')["ours"]
        k = exact_order_statistic(mass_needed(least.h, PAPER), int(least.expected), ALPHA)
        assert k <= q * least.expected  # the reference number suffices; ours is the least


def test_a_number_off_the_reference_is_marked():
    rows = samples_compared(2.0, 10**4, PAPER)
    off = [row | {"ours": row["ours"] + (1e-4 if row["quantity"] == "p" else 0)} for row in rows]
    within = beside_claims(pd.DataFrame(off))[0].set_index("quantity")["within"]
    assert within["p"] is False or not within["p"]
    assert within["exact k/m"]


def test_excess_mass_is_hoeffdings_and_smaller_where_exact():
    rows = pd.DataFrame(excess_mass(1.0, PAPER))
    wide = rows.pivot(index="m", columns="bound", values="excess")
    both = wide.dropna()
    assert (both["exact"] < both["paper"]).all()
    margin = np.sqrt(np.log(1 / ALPHA) / (2 * both.index.to_numpy()))
    assert (both["paper"] >= margin * (1 - 1e-9)).all()
    assert (both["paper"] <= margin + 1 / both.index.to_numpy() + 1e-9).all()
    assert wide["exact"].first_valid_index() < wide["paper"].first_valid_index()
