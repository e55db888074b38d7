"""Any runs in one figure: the numbers counted by hand, and the tests of differences."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from experiments.papers.yours.compare import Compare
from experiments.papers.yours.series import names_in, pairs_of, series_of
from experiments.papers.yours.values import median_interval, round_radii
from experiments.report.figure import selection
from experiments.report.significance import holm, mean_difference
from experiments.report.sources import Source
from experiments.runs.reader import StoredRun
from smoothing import SettingError

L1 = {"input": {"norm": "l1", "units": "cm"}}


def held(radii, at, wrong=()):
    return np.array([0 < r >= at and k not in wrong for k, r in enumerate(radii)])


def test_steps_and_tests_are_those_counted_by_hand(drawn, two_methods, tmp_path, capsys):
    (path,) = drawn("compare", tmp_path, source=two_methods, files=True)
    assert path.name == "compare-digits_l2.png"
    assert path.read_bytes()[:4] == b"\x89PNG"
    table = pd.read_csv(path.with_suffix(".csv"))
    assert list(table["source"].unique()) == ["ours", "Cohen et al."]
    theirs = table[(table["source"] == "Cohen et al.") & (table["sigma"] == 0.5)]
    assert theirs["radius"].tolist()[:-1] == [0, 0.2, 0.3, 0.4, 0.5]  # where the curve falls, and the end of the axis
    assert theirs["accuracy"].tolist() == [0.8, 0.8, 0.6, 0.4, 0.2, 0]
    assert (theirs["low"] <= theirs["accuracy"]).all()
    tests = pd.read_csv(path.with_name("compare-digits_l2.tests.csv"))
    at = tests[(tests["one"] == "ours, sigma = 1") & (tests["quantity"] == "certified accuracy")]
    ours, others = [1.5 * r for r in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)], [1.5 * 0.5, 1.5 * 0.5]
    others += [1.5 * r for r in (0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.0, 0.0)]
    for row in at.itertuples():
        one, other = held(ours, row.at, wrong=[0]), held(others, row.at)
        assert row.difference == pytest.approx(one.mean() - other.mean())
        only = int((one & ~other).sum()), int((one | other).sum() - (one & other).sum())
        assert row.p == pytest.approx(binomtest(*only, 0.5).pvalue if only[1] else 1.0)
    acr = tests[(tests["quantity"] == "ACR") & (tests["one"] == "ours, sigma = 0.5")].iloc[0]
    assert acr["difference"] == pytest.approx(0.36 - 0.28)
    printed = capsys.readouterr().out
    assert "- ours minus Cohen et al., sigma = 0.5, 10 common examples: within the test set's noise" in printed
    assert "Another training run may differ by more." in printed


def test_a_clear_difference_is_more_than_noise(drawn, write_classes, tmp_path, capsys):
    write_classes("a", [0.5] * 30)
    write_classes("b", [0.4] * 30)
    drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"], radii=[0.2, 0.45])
    printed = capsys.readouterr().out
    assert "**more than the test set's noise**: ACR, at r = 0.45" in printed
    assert "r = 0.2: +0.0 points (p = 1.000); r = 0.45: +100.0 points (p = 6e-09)" in printed


def test_different_examples_are_not_paired(drawn, write_classes, tmp_path, capsys):
    write_classes("a", [0.5] * 20)
    write_classes("b", [0.4] * 10, start=20)
    write_classes("c", [0.4] * 20, start=10)
    drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "abc"])
    printed = capsys.readouterr().out
    assert "a minus b, sigma = 0.5, 20 and 10 different examples" in printed
    assert "a minus c, sigma = 0.5, 10 common examples" in printed
    assert "the runs have different test examples, 10 to 20 each" in printed


def listed(folder, inputs):
    """Write examples.csv with these inputs."""
    lines = [f"{k},,,,{text}" for k, text in enumerate(inputs)]
    (folder / "examples.csv").write_text("\n".join(["index,file,label,class,input", *lines]) + "\n")


@pytest.mark.parametrize(("other", "paired"), [("new", False), ("old", True), ("", True)])
def test_examples_of_changed_data_are_not_paired(drawn, write_classes, tmp_path, capsys, other, paired):
    """Equal indices and labels do not make them the same. Earlier runs have no hashes."""
    listed(write_classes("a", [0.5] * 30), [f"old{k}" for k in range(30)])
    listed(write_classes("b", [0.4] * 30), [*(f"old{k}" for k in range(29)), other and f"{other}29"])
    drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"])
    printed = capsys.readouterr().out
    assert ("30 common examples" in printed) is paired
    assert ("30 and 30 different examples" in printed) is not paired
    said = "the data set has changed between the runs: 1 test example, such as 29, is not the same in all of them"
    assert (said in printed) is not paired


def test_outputs_of_changed_data_are_not_paired(drawn, write_center_run, tmp_path, capsys):
    for name in ("a", "b"):
        folder = write_center_run(name, "Digits", "Autoencoder", "L2", 0.1, [1.0] * 9, [0.1] * 9)
        listed(folder, [f"{name}{k}" for k in range(9)])
    drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"])
    printed = capsys.readouterr().out
    assert "9 and 9 different examples" in printed
    assert "9 test examples, such as 0, are not the same in all of them" in printed


@pytest.mark.parametrize("name", ["compare", "table"])
def test_an_unfinished_run_is_named_in_the_text_and_in_a_note(drawn, write_classes, tmp_path, capsys, name):
    write_classes("a", [0.5] * 30)
    folder = write_classes("b", [0.4] * 20, asked=30, read_again=[{"from": "b/another"}])
    (path,) = drawn(name, tmp_path, source=[Source(name, tmp_path / name) for name in "ab"])
    assert "Unfinished: b, sigma = 0.5." in path.with_suffix(".md").read_text()
    said = f"{folder}: 20 of 30 examples; it was read again without sampling. The other 10 need new samples, as "
    assert said in capsys.readouterr().out


def test_two_common_examples_do_not_hide_what_all_show(drawn, write_classes, tmp_path, capsys):
    write_classes("a", [0.5] * 20)
    write_classes("b", [0.5] * 2 + [0.1] * 20, start=18)
    (path,) = drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"])
    printed = capsys.readouterr().out
    said = "a minus b, sigma = 0.5, 20 and 22 examples, tested as different ones because only 2 are common: **more than"
    assert said in printed
    tests = pd.read_csv(path.with_suffix(".tests.csv"))
    assert not tests["paired"].any()
    assert set(zip(tests["examples_one"], tests["examples_other"], strict=True)) == {(20, 22)}


@pytest.mark.parametrize(
    ("sizes", "common", "enough"),
    [
        ((3, 3), 3, True),  # the same examples
        ((3, 100), 3, False),
        ((6, 100), 6, True),
        ((100, 100), 5, False),
        ((100, 100), 49, False),
        ((100, 100), 50, True),
        ((7, 9), 0, False),
    ],
)
def test_enough_common_examples_are_paired(drawn, write_classes, tmp_path, sizes, common, enough):
    write_classes("a", [0.5] * sizes[0])
    write_classes("b", [0.4] * sizes[1], start=sizes[0] - common)
    (path,) = drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"])
    tests = pd.read_csv(path.with_suffix(".tests.csv"))
    assert tests["paired"].all() == tests["paired"].any() == enough
    assert (tests["examples_one"] == (common if enough else sizes[0])).all()


def test_the_acr_and_all_radii_are_adjusted_together(drawn, write_classes, tmp_path, capsys):
    """The interval of the ACR leaves out 0. As one of seven tests its difference is within the noise."""
    random = np.random.default_rng(5)
    theirs = np.clip(random.normal(0.5, 0.1, 40), 0.01, None)
    ours = theirs + random.normal(0.0068, 0.02, 40)
    for name, radii in (("ours", ours), ("theirs", theirs)):
        write_classes(name, radii)
    (path,) = drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in ("ours", "theirs")])
    tests = pd.read_csv(path.with_suffix(".tests.csv"))
    acr = tests[tests["quantity"] == "ACR"].iloc[0]
    assert acr["low"] > 0
    assert acr["p"] == mean_difference(ours, theirs, paired=True).p < 0.05
    assert tests["p_adjusted"].tolist() == pytest.approx(holm(tests["p"].tolist()))
    assert not tests["significant"].any()
    printed = capsys.readouterr().out
    assert "40 common examples: within the test set's noise" in printed
    interval = f"[{acr['low']:+.4f}, {acr['high']:+.4f}]"
    assert f"ACR {acr['difference']:+.4f} {interval} (p = {acr['p_adjusted']:.3f})" in printed


def test_metrics_that_hold_other_numbers_are_drawn_apart(write_center_run, tmp_path, figure):
    for name, numbers in (("a", "1f"), ("b", "2e"), ("c", "2e")):
        folder = write_center_run(name, "Digits", "Autoencoder", "Weighted", 0.1, [1.0] * 9, [0.1] * 9)
        record = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(record | {"metric": numbers}))
    for kind in ("compare", "table"):
        chosen = selection(kind, figure(kind), tmp_path, [Source(name, tmp_path / name) for name in "abc"])
        assert [{run.label for run in runs} for runs in chosen.drawn.values()] == [{"a"}, {"b", "c"}]
        assert "Runs of different data, norms or metrics are drawn apart: " in chosen.explanation()[0]


def test_the_envelope_is_the_best_over_sigma_and_says_that_it_is_optimistic(drawn, two_methods, tmp_path, capsys):
    (path,) = drawn("compare", tmp_path, source=two_methods, envelope=True)
    table = pd.read_csv(path.with_suffix(".csv")).query("source == 'ours'")
    by_sigma = [[r * scale for r in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)] for scale in (1.0, 1.5)]
    for row in table.itertuples():
        assert row.accuracy == max(held(radii, row.radius, wrong=[0]).mean() for radii in by_sigma)
    printed = capsys.readouterr().out
    assert "chosen on the test set itself, which is optimistic" in printed
    assert "minus" not in printed


def test_tests_of_an_earlier_drawing_do_not_stay(drawn, two_methods, tmp_path):
    (path,) = drawn("compare", tmp_path, source=two_methods)
    assert path.with_suffix(".md").exists()
    drawn("compare", tmp_path, source=two_methods, envelope=True)
    assert not path.with_suffix(".md").exists()
    assert not path.with_suffix(".tests.csv").exists()


def test_a_noise_of_ones_own_needs_run_json_and_the_csv_alone(drawn, write_classes, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plt, "close", lambda figure: shown.append(figure))
    shown = []
    config = {"name": "x", "dataset": {"_target_": "my_data.Table"}, "noise": {"_target_": "my_noises.Laplace"}}
    for name in "ab":
        identity = {"dataset": {"type": "my_data.Table"}}
        write_classes(name, [0.5, 0.3, 0.0], sigma=None, identity=identity, config=config, **L1)
    (path,) = drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"])
    assert path.name == "compare-table_l1.png"
    assert shown[0].axes[-1].get_xlabel() == r"$\ell_1$ radius (cm)"
    assert "a minus b, 3 common examples" in capsys.readouterr().out


def test_what_cannot_be_compared_is_one_line(two_methods, write_center_run, tmp_path, figure):
    center = write_center_run("thumbs", "Digits", "Autoencoder", "L2", 0.1)
    sources = [*two_methods, Source("thumbs", center.parent)]
    with pytest.raises(
        SettingError, match=r"'ours' certifies classes .* 'thumbs' certifies outputs .*; name run folders"
    ):
        selection("compare", figure("compare"), tmp_path, sources)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SettingError, match=r"source: no run\.json in .*empty' or below"):
        selection("compare", figure("compare"), tmp_path, [*two_methods, Source("empty", empty)])
    for wrong in ({"radii": []}, {"radii": [-1.0]}, {"radii": "all"}, {"radii": [True]}, {"columns": 0}):
        with pytest.raises(SettingError, match=r"figure\."):
            Compare(**wrong)
    assert figure("compare", radii=0.5).radii == figure("table", radii=[0.5]).radii == [0.5]


def test_sources_that_share_no_drawing_are_named(two_methods, write_classes, tmp_path, figure):
    assert selection("compare", figure("compare"), tmp_path, two_methods).explanation() == []
    for sigma in (0.25, 0.5):
        write_classes("wine", [0.5], sigma, identity={"dataset": {"type": "Wine"}})
    chosen = selection("compare", figure("compare"), tmp_path, [two_methods[0], Source("wine", tmp_path / "wine")])
    assert chosen.explanation() == [
        "Runs of different data, norms or metrics are drawn apart: "
        "compare-digits_l2 has ours; compare-wine_l2 has wine."
    ]


def test_outputs(drawn, write_center_run, tmp_path, capsys):
    inf = float("inf")
    for name, out in (("ours", [1.0, 2, 3, 4, 5, 6, np.nan]), ("theirs", [2.0, 3, 4, 5, 6, 7, inf])):
        write_center_run(name, "Digits", "Autoencoder", "TotalVariation", 0.1, out, [0.1] * 7, eps=(0.1, 0.2), scale=2)
    sources = [Source(name, tmp_path / name) for name in ("ours", "theirs")]
    (path,) = drawn("compare", tmp_path, source=sources, files=True)
    assert path.name == "compare-digits_l2_totalvariation.png"
    table = pd.read_csv(path.with_suffix(".csv"))
    assert table["eps_out"].tolist() == [4, 8, 5, 10]  # medians of seven, one of them infinite
    assert table["infinite"].tolist() == pytest.approx([1 / 7] * 4)
    assert table["abstained"].tolist() == pytest.approx([1 / 7, 1 / 7, 0, 0])
    printed = capsys.readouterr().out
    assert "eps_in = 0.1: first smaller on 6, second on 0, tied on 1 (p = 0.062" in printed
    assert "ours: 14% of the examples have no certificate; they count as infinite" in printed
    assert "no band" not in printed


def test_too_few_outputs_have_no_band(drawn, write_center_run, tmp_path, capsys):
    write_center_run("few", "Digits", "Autoencoder", "TotalVariation", 0.1, [1.0, 2, 3], [0.1] * 3, eps=(0.1,), scale=2)
    drawn("compare", tmp_path, source=[Source("few", tmp_path / "few")], files=True)
    assert "few: no band, because so few examples give no 95 % interval of the median" in capsys.readouterr().out


def test_the_interval_of_a_median_covers_it():
    random, covered = np.random.default_rng(0), 0
    for _ in range(400):
        low, high = median_interval(random.normal(size=30))
        covered += low <= 0 <= high
    assert covered >= 0.93 * 400
    assert median_interval(np.array([1.0, 2.0])) == (0.0, float("inf"))


ROUND = [(5.9, [0, 1, 2, 3, 4, 5]), (0.46, [0, 0.1, 0.2, 0.3, 0.4]), (0, [0])]


@pytest.mark.parametrize(("largest", "expected"), ROUND)
def test_round_radii(largest, expected):
    assert round_radii(largest, 6) == expected


def stored(label, sigma, **training):
    identity = {"dataset": {"type": "Digits"}, "model": {"type": "Net"}, "noise": {"type": "Gaussian", "sigma": sigma}}
    identity |= {"certifier": {"type": "Certify", "n": 100}, "training": training, "seed": 0}
    return StoredRun(Path(f"run-{id(training)}"), {"identity": identity, "started": "1"}, label)


def test_pairs_have_equal_sigma_and_settings():
    runs = [stored(name, sigma, epochs=k) for name in "ab" for sigma in (0.25, 0.5) for k in (1, 2)]
    pairs = pairs_of(series_of(runs, envelope=False))
    assert len(pairs) == 4
    assert all((a.sigma, a.settings) == (b.sigma, b.settings) for a, b in pairs)
    assert len(pairs_of(series_of([stored("a", 0.1), stored("b", 0.2)], envelope=False))) == 1
    trained = [{"noise": {"type": "Gaussian", "sigma": 0.25}}, {"noise": {"type": "Gaussian", "sigma": 0.5}}]
    mixed = [stored("a", 0.25, **trained[0]), stored("a", 0.5, **trained[0])]
    mixed += [stored("b", 0.25, **trained[0]), stored("b", 0.5, **trained[1])]
    assert [a.sigma for a, _ in pairs_of(series_of(mixed, envelope=False))] == [0.25, 0.5]
    (inside,) = pairs_of(series_of(runs[:2], envelope=False))
    assert names_in(inside) == ["epochs = 1", "epochs = 2"]
