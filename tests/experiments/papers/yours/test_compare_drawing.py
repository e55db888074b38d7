"""Any runs in one figure: its panels, titles, legends, and the names of its series."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from experiments.papers.yours.run_settings import differing
from experiments.papers.yours.series import MOST, names_in, pairs_of, panels_of, series_of
from experiments.report.figure import selection
from experiments.report.sources import Source
from experiments.runs.reader import StoredRun

L1 = {"input": {"norm": "l1", "units": "cm"}}


def test_an_infinite_radius_stays_on_the_axis(drawn, write_classes, tmp_path, capsys):
    write_classes("a", [float("inf"), 0.5], sigma=None, **L1)
    write_classes("b", [0.2, 0.1], sigma=None, **L1)
    (path,) = drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"])
    table = pd.read_csv(path.with_suffix(".csv")).query("source == 'a'")
    assert table["radius"].max() == pytest.approx(1.05 * 0.5)
    assert table["accuracy"].tolist()[-1] == 0.5
    assert "ACR" not in capsys.readouterr().out.partition("Differences")[0]


@pytest.fixture
def titles(monkeypatch):
    """The titles of the figures drawn so far."""
    found = []
    monkeypatch.setattr(plt, "close", lambda figure: found.append(figure.get_suptitle()))
    return found


def test_the_title_has_what_no_curve_says(drawn, two_methods, write_classes, write_center_run, tmp_path, titles):
    drawn("compare", tmp_path, source=two_methods)
    drawn("compare", tmp_path, source=[Source("Wine", tmp_path / "ours")])  # curves are named by sigma alone
    write_classes("one", [0.5])
    drawn("compare", tmp_path, source=[Source("one", tmp_path / "one")])
    write_center_run("few", "Digits", "Autoencoder", "L2", 0.1, [1.0, np.nan, np.nan])
    write_center_run("many", "Digits", "Autoencoder", "L2", 0.1, [1.0] * 9, [0.1] * 9)
    for name in ("few", "many"):
        drawn("compare", tmp_path, source=[Source(name, tmp_path / name)])
    assert titles == [
        "Digits, 10 test examples; bands: 95 %",
        "Wine, Digits, 10 test examples; bands: 95 %",
        "Digits, 1 test example; bands: 95 %",
        "Digits, 3 test examples; \u25b2 infinite",
        "Digits, 9 test examples; bands: 95 %",
    ]


@pytest.fixture
def shown(monkeypatch):
    """The figures drawn so far."""
    found = []
    monkeypatch.setattr(plt, "close", found.append)
    return found


@pytest.mark.parametrize("count", [1, 5])
def test_a_legend_stands_below_the_panel(drawn, write_classes, tmp_path, shown, count):
    """The axis stays that of shares, from 0 to 1, and the figure is higher by the legend."""
    for k in range(count):
        write_classes(f"m{k}", [0.5 + 0.1 * k] * 10)
    words = "a method with a name that says all of its settings, number"
    drawn("compare", tmp_path, source=[Source(f"{words} {k}", tmp_path / f"m{k}") for k in range(count)], files=True)
    shown[0].draw_without_rendering()
    (axis,) = shown[0].axes
    assert axis.get_ylim() == (0, 1)
    (legend,) = shown[0].legends
    box, panel = legend.get_window_extent(), axis.get_window_extent()
    assert box.y1 <= axis.xaxis.get_label().get_window_extent().y0 < panel.y0
    assert panel.height > 1.6 * shown[0].dpi
    assert box.y0 >= 0
    assert box.x1 < shown[0].bbox.x1


@pytest.mark.parametrize(("labels", "legends"), [("ab", 1), (["a"], 0)])
def test_panels_share_a_legend_if_each_name_has_one_look(drawn, write_classes, tmp_path, shown, labels, legends):
    words = "a method with a name that says all of its settings, number"
    for name in labels:
        for sigma in (0.25, 0.5, 1.0):
            for epochs in (1, 2) if legends == 0 else (1,):
                write_classes(name, [sigma] * 10, sigma, identity={"training": {words: f"{epochs}/{sigma}"}})
    drawn("compare", tmp_path, source=[Source(f"{words} {k}", tmp_path / k) for k in labels], files=True)
    assert len(shown[0].axes) == 3
    assert len(shown[0].legends) == legends
    assert sum(axis.get_legend() is not None for axis in shown[0].axes) == 3 * (1 - legends)
    assert all(axis.get_xlabel() for axis in shown[0].axes)  # their radii are others


def test_panels_of_one_range_have_one_label(drawn, write_classes, tmp_path, shown):
    for name in "ab":
        for sigma in (0.25, 0.5, 1.0):
            write_classes(name, [0.5] * 10, sigma)
    drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"])
    assert [bool(axis.get_xlabel()) for axis in shown[0].axes] == [False, False, True]


def test_curves_of_other_numbers_of_examples_say_them(drawn, write_classes, tmp_path, shown):
    for name, count in (("a", 18), ("b", 60)):
        write_classes(name, [0.5] * count)
    write_classes("c", [0.0])
    for names in ("ab", "bc", "bb"):
        sources = [Source(f"{name}{k}", tmp_path / name) for k, name in enumerate(names)]
        drawn("compare", tmp_path, source=sources)
    written = [figure.axes[0].get_legend_handles_labels()[1] for figure in shown]
    assert written[0] == ["a0 (18 examples)", "b1 (60 examples)"]
    assert written[1] == ["b0 (60 examples)", "c1 (1 example, all abstained)"]
    assert written[2] == ["b0", "b1"]


def test_many_panels_are_two_side_by_side(drawn, write_center_run, tmp_path, shown):
    for sigma in (0.1, 0.2, 0.3):
        for name in "ab":
            write_center_run(name, "Digits", "Autoencoder", "L2", sigma, eps=(0.1, 0.2))
    drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"])
    assert len(shown[0].axes) == 6
    assert shown[0].axes[0].get_gridspec().ncols == 2
    assert shown[0].get_figwidth() == 5.5


def test_a_run_that_abstains_everywhere_says_so(drawn, write_classes, tmp_path, shown, capsys):
    write_classes("a", [0.0] * 10)
    write_classes("b", [0.5] * 10, wrong=range(10))
    drawn("compare", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"])
    assert shown[0].axes[0].get_legend_handles_labels()[1] == ["a (all abstained)", "b (no example is correct)"]
    printed = capsys.readouterr().out
    assert "a, sigma = 0.5: certified accuracy 0, because all examples abstained" in printed
    assert "b, sigma = 0.5: certified accuracy 0, because no example is correct" in printed


def test_predictions_are_named(two_methods, write_classes, tmp_path, figure):
    folder = write_classes("ours", [0.5], identity={"certifier": {"type": "Predict", "n": 100}})
    file = folder / "certificates.csv"
    pd.read_csv(file).drop(columns="radius").to_csv(file, index=False)
    chosen = selection("compare", figure("compare"), tmp_path, two_methods)
    assert "Predict gives no radii of classes and no eps_out of outputs, so it cannot be" in chosen.explanation()[1]
    assert len(chosen.explanation()) == 2  # and it does not send the reader to figure=compare


def stored(label, sigma, **training):
    identity = {"dataset": {"type": "Digits"}, "model": {"type": "Net"}, "noise": {"type": "Gaussian", "sigma": sigma}}
    identity |= {"certifier": {"type": "Certify", "n": 100}, "training": training, "seed": 0}
    return StoredRun(Path(f"run-{id(training)}"), {"identity": identity, "started": "1"}, label)


def test_a_panel_has_at_most_five_series_and_each_is_named():
    few = series_of([stored(name, sigma) for name in "ab" for sigma in (0.25, 0.5)], envelope=False)
    ((title, panel),) = panels_of(few)
    assert title == ""
    assert names_in(panel)[0] == r"a, $\sigma$ = 0.25"
    many = series_of(
        [stored(name, sigma, epochs=k) for name in "abc" for sigma in (0.25, 0.5) for k in (1, 2)], envelope=False
    )
    panels = panels_of(many)
    assert all(len(panel) <= MOST for _, panel in panels)
    assert [title for title, _ in panels][:2] == [r"$\sigma$ = 0.25, epochs = 1", r"$\sigma$ = 0.25, epochs = 2"]
    assert names_in(panels[0][1]) == ["a", "b", "c"]
    alone = series_of([stored("a", 0.1 * k) for k in range(1, 8)], envelope=False)
    assert [len(panel) for _, panel in panels_of(alone)] == [5, 2]
    (one,) = series_of([stored("a", 0.1), stored("a", 0.2)], envelope=True)
    assert (one.name, one.sigma) == ("a", None)


def test_sigmas_of_one_source_alone_share_a_panel():
    runs = [stored("sweep", 0.1 * k) for k in range(1, 7)] + [stored("other", 0.1)]
    (both, rest) = panels_of(series_of(runs, envelope=False))
    assert (both[0], names_in(both[1])) == (r"$\sigma$ = 0.1", ["sweep", "other"])
    assert (rest[0], names_in(rest[1])) == ("sweep", [rf"$\sigma$ = 0.{k}" for k in range(2, 7)])


def test_training_sigma_differs_only_where_it_is_another_than_that_of_certification():
    own = [stored("a", s, noise={"type": "Gaussian", "sigma": s}) for s in (0.25, 0.5)]
    assert differing({"a": own, "b": own[:1]}) == []
    other = stored("b", 0.5, noise={"type": "Gaussian", "sigma": 0.25})
    assert differing({"a": own, "b": [other]}) == ["the runs also differ in training sigma"]


def test_a_panel_says_that_all_were_trained_under_another_noise():
    runs = [stored(name, 0.5, noise={"type": "Gaussian", "sigma": 0.25}) for name in "ab"]
    ((title, panel),) = panels_of(series_of(runs, envelope=False))
    assert title == r"training $\sigma$ = 0.25"
    assert names_in(panel) == ["a", "b"]


def test_published_files_stand_beside_runs(drawn, write_classes, tmp_path, capsys):
    """The authors' file names the data set by a folder, and has every 20th example, as our run."""
    file = tmp_path / "theirs" / "certify" / "cifar10" / "resnet110" / "noise_0.5" / "test" / "sigma_0.5"
    file.parent.mkdir(parents=True)
    rows = [(k, 3, 3, 0.2 + 0.1 * k, 1, "0:00:01") for k in range(6)]
    lines = ["\t".join(map(str, row)) for row in rows]
    file.write_text("\n".join(["idx\tlabel\tpredict\tradius\tcorrect\ttime", *lines]) + "\n")
    config = {"name": "cifar10_gaussian", "dataset": {"_target_": "experiments.data.CIFAR10"}}
    write_classes("ours", [0.3] * 6, identity={"dataset": {"type": "CIFAR10", "step": 20}}, config=config)
    sources = [Source(name, tmp_path / name) for name in ("ours", "theirs")]
    (path,) = drawn("compare", tmp_path, source=sources)
    assert path.name == "compare-cifar10_l2.png"
    printed = capsys.readouterr().out
    assert "ours minus theirs, sigma = 0.5, 6 common examples" in printed
    assert "certifier.n differs: 1000 for ours; 100000 for theirs" in printed


def test_the_certifier_is_said_on_every_curve_where_runs_are_mixed():
    """Another certifier at one sigma with another n: n alone would hide it, also where no other curve has the sigma."""
    half = {"certifier": {"type": "my_cert.HalfRadius", "n": 1000}}
    runs = [stored("a", sigma) for sigma in (0.12, 0.25)]
    runs += [replace(stored("a", s), record={"identity": stored("a", s).record["identity"] | half}) for s in (0.12, 1)]
    series = series_of(runs, envelope=False)
    names = [(one.settings, one.sigma) for one in series]
    assert names == [
        *(("Certify, n = 100", 0.12), ("HalfRadius, n = 1000", 0.12)),
        *(("Certify, n = 100", 0.25), ("HalfRadius, n = 1000", 1)),
    ]
    assert all("Certify" in name or "HalfRadius" in name for name in names_in(series))
    (pair,) = pairs_of(series)
    assert names_in(pair) == ["Certify, n = 100", "HalfRadius, n = 1000"]
    other = series_of([*runs, stored("b", 0.12)], envelope=False)
    assert other[-1].settings == "Certify, n = 100"  # it is said of the other source, too
    assert len([a for a, b in pairs_of(other) if b.source == "b"]) == 2  # each certifier of the first is tested
    apart = [stored("a", 0.25), replace(runs[-1], label="b")]
    assert [one.settings for one in series_of(apart, envelope=False)] == ["", ""]  # labels tell these apart
