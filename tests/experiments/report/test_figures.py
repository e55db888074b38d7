"""Figures from stored runs: the drawn numbers, abstentions as infinity, the same bytes for the same data."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure as MatplotlibFigure

from experiments.certifying.rows import row
from experiments.config.identity import identity
from experiments.report.figure import Drawing, TheoryFigure, drawings, figure_of
from experiments.report.terminal import terminal_table
from experiments.runs.reader import find_runs, median_with_abstentions
from experiments.runs.run_folder import RunFolder
from experiments.runs.table import Schema, TableWriter
from smoothing import CenterDraws, CenterSettings, CenterSmoothing, Gaussian, Jaccard, SettingError, certificate


@pytest.mark.parametrize(
    ("values", "certified", "expected"),
    [
        ([3.0, 1.0, 2.0], [True, True, True], 2.0),
        ([1.0, 2.0], [True, True], 1.5),
        ([1.0, 2.0], [True, False], math.inf),
        ([1.0, 2.0, 3.0], [True, False, False], math.inf),
        ([1.0, 2.0, 3.0, 4.0, 5.0], [True, True, True, False, False], 3.0),
        ([0.5, 0.1, 0.1], [False, True, True], 0.1),
    ],
)
def test_medians_count_abstentions_as_infinite(values, certified, expected):
    assert median_with_abstentions(np.array(values), np.array(certified)) == expected


def test_the_median_of_nothing():
    assert math.isnan(median_with_abstentions(np.array([]), np.array([], dtype=bool)))


@pytest.fixture
def runs(settings, tmp_path):
    """Two runs in certify.py's format, with made-up distances: five examples, the last of which abstains."""
    rng = np.random.default_rng(0)
    for sigma in (0.1, 0.2):
        plain = settings("experiment=faces_jaccard", f"noise.sigma={sigma}", f"results.root={tmp_path}")
        folder = RunFolder(tmp_path, plain, identity(plain, ""))
        folder.begin({"device": "cpu", "arithmetic": {}})
        with TableWriter(folder.table_path, Schema.of(CenterSmoothing)) as table:
            for index in range(5):
                draws = CenterDraws(
                    base_output=torch.tensor([30.0, 40.0, 120.0, 150.0]),
                    center=torch.tensor([32.0, 40.0, 122.0, 150.0]),
                    center_radius=0.02,
                    n=1500,
                    inside=600 if index == 4 else 760,
                    distances=np.sort(rng.uniform(0, 0.1 * (index + 1) * sigma, 0 if index == 4 else 1000)),
                    smoothing_error=0.01 * index,
                )
                folder.save(index, draws, 1.0)
                given = CenterSettings("exact", 0.07, 0.005, 0.005)
                radii = [sigma, 2 * sigma]
                found = [certificate(draws, e, Gaussian(sigma), Jaccard(), given) for e in radii]
                table.write([row(Schema.of(CenterSmoothing), c, index=index, seconds=1.0) for c in found])
        folder.end()
    return tmp_path


def test_median_curves(runs, tmp_path, capsys, figure):
    png = drawings("center_faces", figure("center_faces"), runs, None, tmp_path / "figures")[0].path
    drawn = pd.read_csv(png.with_suffix(".csv")).query("certificate == 'center smoothing'")
    assert png.read_bytes()[:4] == b"\x89PNG"
    assert png.with_suffix(".pdf").stat().st_size > 1000
    assert set(drawn["reading"]) == {"stated units", "published code's units"}
    tables = {run.identity["noise"]["sigma"]: run.table for run in find_runs(runs)}
    for point in drawn.query("reading == 'stated units' and bound == 'exact'").itertuples():
        rows = tables[point.sigma][np.isclose(tables[point.sigma]["eps_in"], point.eps_in)]
        assert point.eps_out == sorted(rows["eps_out"])[2]  # the median of five, one of them infinite
        assert point.abstained == pytest.approx(0.2)
    stated, published = (drawn.query("reading == @r and bound == 'exact'") for r in drawn["reading"].unique()[::-1])
    assert (published["eps_out"].to_numpy() < stated["eps_out"].to_numpy()).all()
    claims = pd.read_csv(png.with_suffix("").with_suffix(".claims.csv"))
    claims = claims[~claims["case"].str.startswith("balanced: ")]
    verdicts = claims[claims["quantity"] == "largest median eps_out at h = 2"].set_index("case")["ours"]
    exact_h2 = drawn.query("bound == 'exact' and h == 2").groupby("reading")["eps_out"].max()
    for reading in exact_h2.index:
        assert verdicts[f"{reading}, exact bound"] == pytest.approx(exact_h2[reading])
    assert (claims["within"] == (claims["difference"] < claims["tolerance"])).all()
    assert not (claims["tolerance"] > 0).any()  # an ordering must hold by more than the noise of five examples
    printed = capsys.readouterr().out
    assert "20% abstained" in printed
    assert "eps_out consistently below 0.2" in printed


def test_the_paper_bound_is_read_off_the_same_draws_where_m_allows(runs, tmp_path, figure):
    png = drawings("center_faces", figure("center_faces"), runs, None, tmp_path / "figures")[0].path
    drawn = pd.read_csv(png.with_suffix(".csv")).query("certificate == 'center smoothing'")
    drawn = drawn.query("reading == 'stated units' and eps_in == 0.2")
    exact, paper = (drawn.query("bound == @bound").set_index("h")["eps_out"] for bound in ("exact", "paper"))
    assert exact[1] < paper[1] < math.inf  # 157 distances are enough at h = 1
    assert paper[2] == math.inf  # 9425 would be needed at h = 2


def test_boxes(runs, tmp_path, figure):
    png = drawings("center_faces_boxes", figure("center_faces_boxes"), runs, None, tmp_path / "figures")[0].path
    drawn = pd.read_csv(png.with_suffix(".csv"))
    assert drawn["index"].tolist() == [0, 1, 2, 3, 4]
    assert drawn["base_x1"].tolist() == [30.0] * 5
    assert drawn["status"].tolist() == ["certified"] * 4 + ["abstained"]
    (claim,) = pd.read_csv(png.with_suffix(".claims.csv")).itertuples()
    overlaps = [1 - error for error in drawn["smoothing_error"][:4]] + [0.0]  # an abstention overlaps with nothing
    assert claim.ours == pytest.approx(np.mean([overlap < 0.8 for overlap in overlaps]))


def test_runs_without_draws_or_at_other_eps_are_left_out(runs, tmp_path, figure, unrendered):
    curves, boxes = figure("center_faces"), figure("center_faces_boxes")
    first, second = find_runs(runs)
    for path in (first.folder / "draws").iterdir():
        path.unlink()
    (drawing,) = drawings("f", curves, runs, None, tmp_path / "figures")
    assert drawing.runs == [second]
    assert drawings("f", boxes, runs, None, tmp_path / "figures")[0].runs == [second]
    curves.eps = [0.7]
    assert drawings("f", curves, runs, None, tmp_path / "figures") == []


@pytest.mark.parametrize("returned", [None, MatplotlibFigure()])
def test_what_is_no_drawing_is_refused(tmp_path, returned):
    class Own(TheoryFigure):
        def draw(self, runs):
            return returned

    with pytest.raises(SettingError, match=rf"^figure: Own\.draw: expected a Drawing, got {type(returned).__name__}$"):
        drawings("own", Own(), tmp_path, None, tmp_path)


EMPTY = pd.DataFrame()
PARTS = [
    ({"figure": "x"}, "figure of the Drawing: expected a Figure of matplotlib, or None for a table, got str"),
    ({"table": None}, "table of the Drawing: expected a DataFrame, got NoneType"),
    (
        {"claims": []},
        r"claims of the Drawing: expected an empty DataFrame, or one with the columns claim, .*, got list",
    ),
    ({"claims": pd.DataFrame({"claim": ["c"]})}, "claims of the Drawing: expected .*, quantity, .*, got DataFrame"),
    ({"notes": "text"}, "notes of the Drawing: expected a list of texts, got str"),
    ({"notes": [1]}, "notes of the Drawing: expected a list of texts, got list"),
    ({"texts": ["md"]}, "texts of the Drawing: expected texts by file suffix, got list"),
    ({"figure": None}, "texts of the Drawing: expected the text of a table, such as .*, where there is no figure"),
    ({"partial": True}, "partial of the Drawing: expected a text, got bool"),
]


@pytest.mark.parametrize(("part", "expected"), PARTS)
def test_a_part_of_a_drawing_that_is_of_another_type_is_named(tmp_path, part, expected):
    class Own(TheoryFigure):
        def draw(self, runs):
            return Drawing(**({"figure": MatplotlibFigure(), "table": EMPTY, "claims": EMPTY, "notes": []} | part))

    with pytest.raises(SettingError, match=rf"^figure: Own\.draw: {expected}"):
        drawings("own", Own(), tmp_path, None, tmp_path)
    assert not list(tmp_path.glob("own*"))


@pytest.mark.parametrize("target", ["experiments.data.Digits", "experiments.report.figure.figure_of"])
def test_a_class_that_is_no_figure_is_named(target):
    with pytest.raises(
        SettingError, match=rf"^figure fu\._target_: expected a class derived from Figure, got {target}$"
    ):
        figure_of("fu", {"_target_": target, "experiments": []})


def test_verdicts_of_an_earlier_drawing_do_not_stay(runs, tmp_path, figure):
    old = tmp_path / "figures" / "cohen_images.claims.csv"
    old.parent.mkdir()
    old.write_text("old")
    drawings("cohen_images", figure("cohen_images"), runs, None, tmp_path / "figures")  # no claims are made of it
    assert not old.exists()


def test_the_same_data_gives_the_same_bytes(runs, tmp_path, figure):
    once, again = (drawings("f", figure("center_faces"), runs, None, tmp_path / name)[0].path for name in ("a", "b"))
    for suffix in (".png", ".pdf", ".svg", ".csv"):
        assert once.with_suffix(suffix).read_bytes() == again.with_suffix(suffix).read_bytes()


def test_runs_of_two_settings_are_not_mixed(runs, settings, tmp_path, figure, unrendered):
    plain = settings("experiment=faces_jaccard", "certifier.n=1600", f"results.root={tmp_path}")
    folder = RunFolder(tmp_path, plain, identity(plain, ""))
    folder.begin({"device": "cpu", "arithmetic": {}})
    draws = next(iter(find_runs(runs)[0].draws.values()))
    folder.save(0, draws, 1.0)
    with TableWriter(folder.table_path, Schema.of(CenterSmoothing)) as table:
        found = certificate(draws, 0.1, Gaussian(0.1), Jaccard(), CenterSettings())
        table.write([row(Schema.of(CenterSmoothing), found, index=0, seconds=1.0)])
    written = [
        drawn.path for drawn in drawings("center_faces", figure("center_faces"), runs, None, tmp_path / "figures")
    ]
    assert len(set(written)) == 2


def test_terminal_table(runs):
    (folder, _) = (run.folder for run in find_runs(runs))
    rows, _, reasons = terminal_table(folder).partition("\n\n")
    assert "abstained" in rows
    assert rows.count("\n") == 10
    assert reasons.startswith("2 abstained: max(Delta1")
    assert "\n" not in reasons
