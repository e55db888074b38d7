"""The attack benchmark: attacks stay within bounds, get as close as possible where this is known, and break nothing."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest
import torch
from scipy.stats import binom

from experiments.benchmarks import attacked_cases as cases
from experiments.benchmarks import attacked_models as models
from experiments.benchmarks import tightness
from experiments.benchmarks.attacks_on_centers import attack_center, attack_exact_center, farthest_within, moved_by
from experiments.benchmarks.attacks_on_classifiers import attack_exactly, attack_l1, attack_l2
from experiments.benchmarks.attacks_on_patches import attack_by_patches, attack_center_by_patches, best_patch
from experiments.benchmarks.attacks_on_sets import attack_exact_set, attack_set
from experiments.benchmarks.attempts import class_attempt, exact_path, l1_path, output_attempt
from experiments.papers.ours.tightness import CASE, Bench, allowed, per_certificate, summary
from smoothing import (
    L2,
    BalancedCenterSmoothing,
    BandAblation,
    CenterSmoothing,
    Certify,
    ConformalSets,
    DeterministicSplitting,
    ExactCenterSmoothing,
    ExactCertify,
    ExactConformalSets,
    Gaussian,
    Uniform,
)

IMAGES = models.images()
FINE = DeterministicSplitting(cases.FINE_SIGMA, cases.FINE, (1,))
CLASSIFY = {"n": 5000, "batch_size": 1000}
BALANCED = {"q": cases.Q, "rho": 2.0, "n": 2000, "m": 2000, "alpha1": 0.001, "alpha2": 0.001, "batch_size": 1000}


def closest(attempts):
    return max(attempt.ratio for attempt in attempts)


def test_what_counts_as_a_violation():
    assert class_attempt(0.5, 0.5, True, 0.001, 1e-6).violated
    assert not class_attempt(0.5, 0.5, False, 0.001, 1e-6).violated
    beyond = class_attempt(0.5, 1.0, True, 0.001, 1e-6)
    assert (beyond.violated, beyond.ratio, beyond.factor) == (False, 0.5, 2.0)
    assert output_attempt(1.0, 1.0, moved=2.1, bound=2.0).violated
    assert output_attempt(1.0, 1.0, moved=0.1, bound=0.0).ratio == float("inf")
    assert output_attempt(1.0, 1.0, moved=0.0, bound=0.0).ratio == 0
    assert not output_attempt(1.0, 1.1, moved=2.1, bound=2.0).violated


def test_an_l1_path_is_as_long_as_it_says_and_stays_within_the_image():
    x = torch.zeros(1, 8, 8)
    path = list(l1_path(lambda z: models.one_pixel(z)[:, 1], Uniform(0.5), x, 1 / 16, 30, example=0, within_image=True))
    assert len(path) == 16
    for k, there in enumerate(path, 1):
        assert float((there - x).abs().sum()) == pytest.approx(k / 16, abs=1e-5)
        assert float(there.min()) >= 0
        assert float(there.max()) <= 1 + 1e-5
    assert float(path[-1].flatten()[models.PIXEL]) == pytest.approx(1)


def test_an_exact_path_takes_the_best_step_of_all():
    noise = DeterministicSplitting(0.5, 16, (3,))
    x = torch.tensor([0.25, 0.5, 1.0])

    def objective(batch):
        return batch[:, 0] - 3 * batch[:, 1] + batch[:, 2]

    def total(there):
        return float(objective(noise.copies(there, 0, noise.steps)).sum())

    (first, *_, last) = exact_path(objective, noise, x, 5)
    neighbours = [x + sign / 16 * torch.eye(3)[i] for i in range(3) for sign in (1, -1)]
    possible = [there for there in neighbours if float(there.max()) <= 1]
    assert total(first) == pytest.approx(max(map(total, possible)))
    assert float((last - x).abs().sum()) == pytest.approx(5 / 16)


def test_ascent_stays_in_the_ball_and_moves_the_output():
    f, noise = models.autoencoder(Gaussian(0.2), seed=0, steps=100), Gaussian(0.2)
    objective = moved_by(f, L2(), f(IMAGES[:1])[0])
    there = farthest_within(objective, noise, IMAGES[0], 0.4, example=0)
    assert float((there - IMAGES[0]).norm()) <= 0.4
    assert float(objective(there[None])) > 1.5 * float(objective(IMAGES[:1] + 0.05 * torch.randn(1, 8, 8)))


@pytest.mark.slow
def test_attacks_come_close_where_the_certificate_is_tight():
    half_space = models.half_space(*models.between_two_digits())
    l2 = Certify(half_space, Gaussian(0.5, 16), **CLASSIFY)
    assert closest(attack_l2(l2, IMAGES[0], 0)) > 0.75
    l1 = Certify(models.one_pixel, Uniform(0.5, 16), **CLASSIFY)
    assert closest(attack_l1(l1, IMAGES[0], 0, reach=1.5)) > 0.75
    exact = ExactCertify(models.one_pixel, FINE)
    assert closest(attack_exactly(exact, torch.zeros(1), 0)) > 0.99
    center = CenterSmoothing(models.four_points, Gaussian(1.0), L2(), **cases.BY_HAND)
    found = [attack_center(center, torch.zeros(1), i, eps=0.35, direction=torch.ones(1)) for i in range(4)]
    assert max(map(closest, found)) == pytest.approx(0.995)
    balanced = BalancedCenterSmoothing(models.three_points, Gaussian(1.0), L2(), **BALANCED)
    found = [attack_center(balanced, torch.zeros(1), i, eps=0.35, direction=torch.ones(1)) for i in range(6)]
    assert max(map(closest, found)) == pytest.approx(1)
    on_grid = ExactCenterSmoothing(models.four_points_under_splitting(cases.FINE), FINE, L2())
    assert closest(attack_exact_center(on_grid, torch.zeros(1), 0)) == pytest.approx(0.995)


def test_radii_that_are_too_large_are_found_out():
    """The benchmark can fail: a tight certificate with a radius 1.5 times too large is broken at once."""

    class Boastful(Gaussian):
        def radius(self, p_a, p_b=None):
            return 1.5 * super().radius(p_a, p_b)

    half_space = models.half_space(*models.between_two_digits())
    attempts = attack_l2(Certify(half_space, Boastful(0.5, 16), **CLASSIFY), IMAGES[0], 0)
    assert any(attempt.violated for attempt in attempts)

    class Narrower(BalancedCenterSmoothing):
        def certify(self, *given):
            found = super().certify(*given)
            return replace(found, eps_out=0.9 * found.eps_out)

    h = Narrower(models.three_points, Gaussian(1.0), L2(), **BALANCED)
    attempts = [attack_center(h, torch.zeros(1), i, eps=0.35, direction=torch.ones(1)) for i in range(6)]
    assert any(attempt.violated for each in attempts for attempt in each)

    class NarrowerOnTheGrid(ExactCenterSmoothing):
        def read(self, draws, eps):
            found = super().read(draws, eps)
            return replace(found, eps_out=0.9 * found.eps_out)

    on_grid = NarrowerOnTheGrid(models.four_points_under_splitting(cases.FINE), FINE, L2())
    assert any(attempt.violated for attempt in attack_exact_center(on_grid, torch.zeros(1), 0))


def test_the_best_patch_is_a_patch_and_the_best_of_all_places():
    noise = BandAblation(1, (1, 4, 6))
    x = torch.full((1, 4, 6), 0.5)

    def objective(batch):  # white in column 3, or black in column 1
        shown = batch.nan_to_num(nan=0.5)[:, 0]
        return shown[:, :, 3].sum(dim=1) - 0.9 * shown[:, :, 1].sum(dim=1)

    for side in (1, 2, 3, 5):
        there = best_patch(objective, noise, x, side)
        rows, columns = (there != x)[0].nonzero().T
        assert int(rows.max() - rows.min()) < side
        assert int(columns.max() - columns.min()) < side
        assert bool((there[0, rows, 3] == 1).all())
        assert bool((there[0, rows, 1] == 0).all()) == (side >= 3)


def test_patches_find_a_band_too_few(monkeypatch):
    """A noisy input shows two columns, so a patch of side m touches m + 1 of them, not m."""
    black, noise = torch.zeros(1, 1, 21), BandAblation(2, (1, 1, 21))
    honest = attack_by_patches(ExactCertify(models.all_seen_is_black, noise), black, 0)
    assert [a.factor for a in honest][-1] == 10 / 9
    assert [a.violated for a in honest] == [False] * 10
    wide = BandAblation(3, (1, 1, 21))
    center = ExactCenterSmoothing(lambda z: z.nan_to_num(nan=0.0).flatten(1).amax(dim=1, keepdim=True), wide, L2())
    assert not any(a.violated for a in attack_center_by_patches(center, black, 0))
    monkeypatch.setattr(BandAblation, "_touched", lambda self, m, length: min(length, m))
    attempts = attack_by_patches(ExactCertify(models.all_seen_is_black, noise), black, 0)
    assert any(a.violated for a in attempts)
    assert any(a.violated for a in attack_center_by_patches(center, black, 0))


def test_attacks_find_sets_that_ask_for_too_many_samples(monkeypatch):
    labels, x = torch.ones(60, dtype=torch.int64), torch.full((1,), 0.5)
    sets = ConformalSets(models.positive, Gaussian(1.0), held_out=60, batch_size=1000)
    sets.calibrate_on((x, 1) for _ in range(60))
    assert not any(a.violated for i in range(5) for a in attack_set(sets, labels, x, i, eps=0.5))
    monkeypatch.setattr(ConformalSets, "needed", lambda self, eps: self._t(0.5 * eps))
    assert any(a.violated for i in range(5) for a in attack_set(sets, labels, x, i, eps=0.5))

    exact = ExactConformalSets(models.one_pixel, FINE, p=0.5, held_out=60)
    assert not any(a.violated for a in attack_exact_set(exact, 0 * labels, torch.zeros(1), 0, steps=5))
    monkeypatch.setattr(ExactConformalSets, "needed", lambda self, eps: self._t(eps) + 1)
    assert any(a.violated for a in attack_exact_set(exact, 0 * labels, torch.zeros(1), 0, steps=5))


def table_of(violated):
    """Two certificates with three attempts each. The last two attempts of each lie within the radius."""
    row = {**dict.fromkeys(CASE, "a"), "moved": 1.0, "ratio": 0.5, "level_at_x": 0.01, "level_at_attack": 0.001}
    rows = [row | {"index": k // 3, "factor": (2.0, 1.0, 0.5)[k % 3], "violated": v} for k, v in enumerate(violated)]
    return pd.DataFrame(rows)


def test_a_certificate_counts_once_and_its_level_is_of_all_its_attempts():
    table = table_of([False, True, True, False, False, False])
    assert per_certificate(table)["violated"].tolist() == [True, False]
    assert per_certificate(table)["level"].tolist() == pytest.approx([0.012, 0.012])
    (line,) = summary(table).itertuples()
    assert (line.attempts, line.certificates, line.violated) == (6, 2, 1)
    assert allowed(100, 0.0) == 0
    k = allowed(100, 0.01)
    assert binom.sf(k, 100, 0.01) <= 1e-6 < binom.sf(k - 1, 100, 0.01)


def test_the_figure_says_what_was_found(tmp_path, drawn, capsys):
    folder = tmp_path / "results" / "tightness"
    folder.mkdir(parents=True)
    table_of([False, True, True, False, False, False]).assign(seconds=0.5).to_csv(folder / "tightness.csv", index=False)
    identity = {"dataset": {"type": "Digits"}, "certifier": {"type": "all"}, "seed": 0}
    (folder / "run.json").write_text(json.dumps({"identity": identity, "config": {"name": "digits"}}))
    assert len(Bench(folder, {}).table) == 6
    (png,) = drawn("tightness", tmp_path, results=tmp_path / "results")
    assert png.exists()
    claims = pd.read_csv(tmp_path / "figures" / "tightness-digits.claims.csv")
    assert claims["within"].all()
    assert claims["ours"].tolist() == [1]
    assert "6 attempts on 2 certificates, 1 of them broken" in capsys.readouterr().out
    assert drawn("tightness", tmp_path, results=tmp_path / "none") == []


def test_the_bench_writes_its_table_and_its_record(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "autoencoder", lambda noise, seed: torch.nn.Identity().eval())
    some = [c for c in cases.on_centers(0) if c.model == "four points"]
    monkeypatch.setattr(tightness, "all_cases", lambda seed: some)
    run = tightness.run
    monkeypatch.setattr(tightness, "run", lambda seed, say, only: run(seed, 0.02, say, only))
    tightness.main()
    table = Bench(tmp_path / "results" / "tightness", {}).table
    assert set(table["certifier"]) == {"center", "exact_center"}
    assert not table["violated"].any()
    record = json.loads((tmp_path / "results" / "tightness" / "run.json").read_text())
    assert {"seed", "commit", "dirty", "versions", "device", "started", "ended"} <= set(record)
    assert re.search(rf"{len(table)} attempts on \d certificates, 0 of them broken", capsys.readouterr().out)


@pytest.mark.slow
def test_thousands_of_attempts_break_no_more_certificates_than_they_may():
    """With a seed other than the committed run's. Certificates without sampling may never be broken."""
    table = tightness.run(seed=1)
    found = summary(table)
    print("\n" + found.to_string())
    assert len(table) >= 2000
    assert (found["violated"] <= found["allowed"]).all()
    exact = found[found["certifier"].str.startswith("exact")]
    assert (exact["allowed"] == 0).all()
    assert len(exact) == 18
    best = found.groupby("certifier")["best"].max()
    close = ["certify", "adaptive", "exact", "center", "exact_center", "median", "exact_median", "exact_conformal"]
    assert (best[close] > 0.85).all()
