"""The paper's certificate and ours in one figure: which rows each line has, what is missing, verdicts that can fail."""

from math import nan

import numpy as np
import pandas as pd
import pytest
import yaml

from experiments.papers.kumar2021 import calibrated
from experiments.papers.kumar2021.certificates import OURS, PAPERS
from experiments.report.artefacts import Status, reason_of, status_of
from experiments.report.figure import drawings
from experiments.runs.reader import find_runs
from smoothing import BalancedSettings, Gaussian, Jaccard, TotalVariation, balanced_certificate, rechecked

BALANCED = {"type": "BalancedCenterSmoothing", "n": 2000, "m": 45000, "q": 0.84, "rho": 5.0, "bound": "exact"}
PLACE = ("digits_tvd", "Digits", "Autoencoder", "TotalVariation")
PANEL = "Digits, dimensionality reduction"
SIGMAS = (0.1, 0.2, 0.4)


@pytest.fixture
def write_pair(write_center_run):
    """write_pair(ours, ...) writes the paper's runs at three noise levels, and ours at the levels of `ours`.

    Args:
        ours: sigma -> eps_out of our three examples at h = 1.5.
        papers: eps_out of the paper's examples over sigma, at h = 1.5.
        given: arguments of `write_center_run` for our runs.
    """

    def write(ours, place=PLACE, papers=70, **given):
        for sigma in SIGMAS:
            write_center_run(*place, sigma, (papers * sigma,) * 3, (sigma / 10,) * 3, scale=0.9)
        for sigma, out in ours.items():
            mine = {"certifier": BALANCED, "started": "2026-01-02", "scale": 0.9, "training": {"epochs": 4}} | given
            write_center_run(*place, sigma, out, (sigma / 10,) * 3, **mine)

    return write


@pytest.fixture
def one(figure, tmp_path, unrendered):
    """one(name) draws the only drawing of a figure. Returns it with its table by certificate."""

    def draw(name):
        (drawn,) = drawings(name, figure(name), tmp_path, None, tmp_path / "figures")
        return drawn, dict(list(drawn.drawing.table.groupby("certificate")))

    return draw


def test_each_line_has_its_own_rows(write_pair, one):
    write_pair({sigma: (20 * sigma, 30 * sigma, nan) for sigma in SIGMAS})
    drawn, table = one("center_tvd")
    for name, out in ((PAPERS, 70), (OURS, 30)):  # of ours, the median of 20, 30 and infinity
        for row in table[name].itertuples():
            assert row.eps_out == pytest.approx(out * row.sigma * (0.9 if row.h == 2 else 1))
    assert len(table[PAPERS]) == len(table[OURS]) == 6
    assert table[OURS]["abstained"].unique().tolist() == [pytest.approx(1 / 3)]
    assert f"{PANEL}: training.epochs differs: 3 for center smoothing, 4 for balanced" in drawn.drawing.notes
    assert not any("no balanced results" in note for note in drawn.drawing.notes)
    assert any("at 3 input radii: 0.429 to 0.429 times" in note for note in drawn.drawing.notes)
    assert len(drawn.runs) == 6


def test_without_our_runs_the_figure_says_so(write_pair, one):
    write_pair({})
    drawn, table = one("center_tvd")
    assert list(table) == [PAPERS]
    assert f"{PANEL}: there are no balanced results, so only the paper's certificate is drawn" in drawn.drawing.notes
    assert not drawn.drawing.claims["case"].str.startswith(OURS).any()


def test_noise_levels_without_our_runs_are_listed(write_pair, one):
    write_pair({0.2: (4.0, 5.0, 6.0)})
    drawn, table = one("center_tvd")
    assert set(table[OURS]["sigma"]) == {0.2}
    assert f"{PANEL}: there are no balanced results at sigma = 0.1, 0.4" in drawn.drawing.notes


def test_our_runs_join_each_setting_of_the_paper_s_but_no_other_center(
    write_pair, write_center_run, figure, tmp_path, unrendered
):
    write_pair({0.2: (4.0, 5.0, 6.0)})
    for center, started in (({"m": 9000}, "2026-02-01"), ({"center": "medoid"}, "2026-02-02")):
        certifier = {"type": "CenterSmoothing", "n": 2000, "m": 45000, "delta": 0.05, "bound": "exact"} | center
        write_center_run(*PLACE, 0.2, certifier=certifier, started=started)
    found = drawings("center_tvd", figure("center_tvd"), tmp_path, None, tmp_path / "figures")
    there = {drawn.stem.name.partition("-")[2][:13]: set(drawn.drawing.table["certificate"]) for drawn in found}
    assert len(found) == 3
    assert there.pop("digits_medoid") == {PAPERS}
    assert all(names == {PAPERS, OURS} for names in there.values())


def test_a_claim_that_fails_for_ours_alone(write_pair, one):
    write_pair({0.1: (9.0,) * 3, 0.2: (8.0,) * 3, 0.4: (7.0,) * 3})
    drawn, _ = one("center_tvd")
    claims = drawn.drawing.claims
    ours = claims["case"].str.startswith(f"{OURS}: ")
    assert claims.loc[~ours, "kind"].eq("trend").all()
    assert claims.loc[ours, "kind"].eq("ours").all()
    grows = claims["quantity"] == "largest median eps_out over that at the next larger eps_in"
    assert not claims.loc[ours & grows, "within"].any()
    assert claims.loc[~ours & grows, "within"].all()


def test_our_checks_do_not_decide_the_status(write_pair, one):
    falling = {0.1: (4.0,) * 3, 0.2: (3.0,) * 3, 0.4: (2.0,) * 3}
    write_pair(falling, place=("mnist_l2", "MNIST", "Autoencoder", "L2"), papers=10)
    drawn, _ = one("center_l2_baseline")
    claims = drawn.drawing.claims
    assert set(claims.loc[~claims["within"], "kind"]) == {"ours"}
    assert status_of(drawn) == Status.TREND
    assert reason_of(drawn) == (
        "all 6 checks of the paper's verbal claims hold; 1 more hold by construction; "
        "of 6 checks of our own certificate, 4 hold"
    )
    assert claims["quantity"].str.startswith("bound of expectation").sum() == 1  # is of no certificate


@pytest.fixture
def stored(write_pair, tmp_path, monkeypatch):
    """The paper's runs with stored draws of four images, and a calibration at sigma = 0.2 on the last image."""
    monkeypatch.setattr(calibrated, "CALIBRATIONS", tmp_path)
    write_pair({})
    rng = np.random.default_rng(2)
    for run in find_runs(tmp_path):
        levels = '"delta": 0.05, "alpha1": 0.005, "alpha2": 0.005'
        path = run.folder / "run.json"
        path.write_text(path.read_text().replace('"delta": 0.05', levels))
        table = run.table[run.table["index"] == 0]
        pd.concat([table.assign(index=i) for i in range(4)]).to_csv(run.folder / "certificates.csv", index=False)
        (run.folder / "draws").mkdir()
        for index in range(4):
            kept = {"base_output": np.zeros((1, 8, 8)), "center": np.zeros((1, 8, 8)), "center_radius": 1.0, "n": 5000}
            kept |= {"inside": 4000, "distances": np.sort(rng.uniform(0, 1 + index, 5000)), "smoothing_error": 0.1}
            np.savez_compressed(run.folder / "draws" / f"{index}.npz", **kept, seconds=1.0)
    entry = {"q": 0.6, "rho": 2.5, "eps": [0.3], "examples": [3]}
    (tmp_path / "digits_tvd.yaml").write_text(yaml.safe_dump({"calibration": {"Gaussian(sigma=0.2)": entry}}))


def test_draws_are_read_again_where_there_is_a_calibration(stored, one):
    drawn, table = one("center_tvd")
    (run,) = (run for run in drawn.runs if run.identity["noise"]["sigma"] == 0.2)
    assert set(table[OURS]["sigma"]) == {0.2}
    assert set(table[OURS]["examples"]) == {3}
    for row in table[OURS].itertuples():
        given, noise, metric = BalancedSettings(0.6, 2.5), Gaussian(0.2), TotalVariation()
        draws = [rechecked(run.draws[index], 2.5) for index in range(3)]
        radii = sorted(balanced_certificate(d, row.eps_in, noise, metric, given).eps_out for d in draws)
        assert row.eps_out == radii[1]
    assert f"{PANEL}: balanced is read from the stored draws of center smoothing at sigma = 0.2" in drawn.drawing.notes
    assert f"{PANEL}: there are no balanced results at sigma = 0.1, 0.4" in drawn.drawing.notes


H2 = "largest median eps_out at h = 2"


def test_the_boxes_of_faces_have_ours_from_the_same_draws(face_draws, calibrate, one):
    calibrate({"Gaussian(sigma=0.2)": {"examples": [4]}})
    drawn, table = one("center_faces")
    assert set(table[PAPERS]["examples"]) == {5}
    assert set(table[OURS]["examples"]) == {4}
    assert set(table[OURS]["sigma"]) == {0.2}
    for reading, unit in (("stated units", 1), ("published code's units", 1 / 255)):
        for h in (1, 2):
            draws = [rechecked(face_draws[0.2][index], 0.04) for index in range(4)]
            given = BalancedSettings(0.8, 0.04)
            radii = [balanced_certificate(d, h * 0.2 * unit, Gaussian(0.2), Jaccard(), given).eps_out for d in draws]
            ours = table[OURS].set_index(["reading", "h"])["eps_out"]
            assert ours[reading, h] == np.median(radii)
    notes = drawn.drawing.notes
    assert "balanced leaves out the examples that q and rho come from: 1" in notes
    assert "there are no balanced results at sigma = 0.1" in notes
    claims = drawn.drawing.claims.set_index(["quantity", "case"])["ours"]
    ours = table[OURS].query("reading == 'stated units' and h == 2")
    share = f"{ours['abstained'].max():.0%}"
    assert claims[H2, f"balanced: stated units, abstained on {share}"] == ours["eps_out"].max()
    assert claims[H2, "stated units, exact bound"] >= 0


@pytest.mark.parametrize(("rho", "below"), [(0.04, True), (0.3, False)])
def test_the_claim_about_faces_can_fail_for_ours(face_draws, calibrate, one, rho, below):
    calibrate({"Gaussian(sigma=0.2)": {"rho": rho, "by_q": []}})
    drawn, _ = one("center_faces")
    claims = drawn.drawing.claims[drawn.drawing.claims["quantity"] == H2].set_index("case")
    (case,) = (case for case in claims.index if case.startswith("balanced: stated"))
    assert (claims.loc[case, "ours"] < 0.2) == below
    assert not claims.loc[case, "within"]  # two of five abstain: of other photographs, more than half might
    up_to = "up to eps_in = 0.4" if below else "at no eps_in"
    assert f"stated units, balanced: median eps_out at h = 2 is below 0.2 {up_to}" in drawn.drawing.notes


def test_faces_without_a_calibration_have_the_paper_s_line_alone(face_draws, calibrate, one):
    calibrate({})
    drawn, table = one("center_faces")
    assert list(table) == [PAPERS]
    assert "there are no balanced results, so only the paper's certificate is drawn" in drawn.drawing.notes
    assert set(drawn.drawing.claims["kind"]) == {"number", "trend"}
