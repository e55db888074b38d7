"""q and rho of balanced center smoothing: how they are chosen, where they are written, and who may not use them."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from experiments.again import settings_of
from experiments.certifying import calibrating as module
from experiments.certifying.calibrating import ABSTENTION, SHARES, calibration_images, chosen, require_other_examples
from experiments.certifying.calibrating_draws import calibrate_on_draws
from experiments.config.identity import identity
from experiments.config.settings import Group
from experiments.runs.reader import find_runs
from smoothing import (
    L2,
    BalancedCenterSmoothing,
    BalancedSettings,
    Gaussian,
    Jaccard,
    SettingError,
    balanced_certificate,
    rechecked,
)

ROOT = Path(__file__).parents[3]
EPS = [0.1, 0.2]
QUICK = ("limit=6", "device=cpu", "batch_size=400")


def needed(rho, r_hat, images=10):
    """What every image needs: rho for each q, and R_hat for each q and eps."""
    one = np.column_stack([rho, r_hat])
    return np.repeat(one[None], images, axis=0)


def test_rho_is_a_quantile_of_what_the_images_need():
    every = needed(np.linspace(1, 2, len(SHARES)), np.full((len(SHARES), 2), 0.5))
    every[:, :, 0] *= np.arange(1, 11)[::-1, None]  # the ten images need 10, 9, ..., 1 times as much
    found = chosen(every, EPS, 1.0, "noise", "ten images")
    assert ABSTENTION == 0.1
    assert (found.q, found.rho) == (SHARES[0], 9.0)  # all but one image
    assert found.by_q[SHARES[0]] == [9.0, 9.5, 9.5]


def test_one_eps_takes_the_best_q_and_several_the_smallest_regret():
    rho, r_hat = np.ones(len(SHARES)), np.full((len(SHARES), 2), 9.0)
    r_hat[3], r_hat[7], r_hat[9] = [1.0, 8.0], [2.0, 2.0], [8.0, 1.0]
    found = chosen(needed(rho, r_hat), EPS, 1.0, "noise", "")
    assert (found.q, found.eps_out) == (SHARES[7], [3.0, 3.0])  # 3/2 of the best at both
    assert chosen(needed(rho, r_hat[:, :1]), EPS[:1], 1.0, "noise", "").q == SHARES[3]
    assert chosen(needed(rho, r_hat[:, 1:]), EPS[1:], 1.0, "noise", "").q == SHARES[9]
    assert chosen(needed(rho, r_hat), EPS, 2.0, "noise", "").eps_out == [6.0, 6.0]  # gamma


def test_a_q_that_cannot_certify_every_eps_is_not_chosen():
    rho, r_hat = np.ones(len(SHARES)), np.full((len(SHARES), 2), 5.0)
    r_hat[2] = [0.1, np.inf]
    assert chosen(needed(rho, r_hat), EPS, 1.0, "noise", "").q != SHARES[2]
    r_hat[:, 1] = np.inf  # the other eps decides alone
    assert chosen(needed(rho, r_hat), EPS, 1.0, "noise", "").q == SHARES[2]
    vacuous = chosen(needed(rho, r_hat), EPS, 1.0, "noise", "", largest=6.0)
    assert (vacuous.q, vacuous.by_q[SHARES[0]][1]) == (SHARES[2], np.inf)
    with pytest.raises(SettingError, match="eps: no q certifies any eps with these samples; take more"):
        chosen(needed(rho, r_hat), EPS, 1.0, "noise", "", largest=1.0)
    r_hat[:, 0] = np.inf
    with pytest.raises(SettingError, match="eps: no q certifies any eps with these samples; take more"):
        chosen(needed(rho, r_hat), EPS, 1.0, "noise", "")
    with pytest.raises(SettingError, match=r"certifier\.rho: expected a positive radius, found 0"):
        chosen(needed(0 * rho, np.zeros((len(SHARES), 2))), EPS, 1.0, "noise", "")


def test_training_images_or_the_last_examples(settings):
    digits = settings("experiment=digits_tvd", "limit=7")
    images, words = calibration_images(digits.dataset.build(), digits)
    assert (len(images), words) == (7, "7 training images")
    assert all(image.shape == (1, 8, 8) and float(image.min()) >= 0 and float(image.max()) <= 1 for _, image in images)
    training = digits.dataset.build().training()
    assert all((training.pixels[number] / 16 == image).all() for number, image in images)
    faces = settings("experiment=faces_jaccard", "limit=5")
    images, words = calibration_images(faces.dataset.build(), faces)
    assert [number for number, _ in images] == [96, 97, 98, 99, 100]
    assert words == "the last 5 examples, from 96 on"


def test_no_stream_of_a_certified_example_is_used(settings, monkeypatch):
    noise = Gaussian(0.4, grid=16)
    certifier = BalancedCenterSmoothing(lambda batch: batch, noise, L2(), n=100, m=100, q=0.5, rho=1.0)
    streams, drawing = [], certifier.calibrating

    def calibrating(x, example, *others):
        streams.append(example)
        return drawing(x, example, *others)

    monkeypatch.setattr(certifier, "calibrating", calibrating)
    monkeypatch.setattr(module, "assembled", lambda *_: [SimpleNamespace(certifier=certifier)])
    found = module.calibrate(settings("experiment=digits_tvd", "certifier=balanced", "limit=3", "eps=0.1"))
    assert len(set(streams)) == 3
    assert min(streams) >= 10**9  # no data set has so many examples
    assert (found.images, found.examples) == ("3 training images", [])


def test_examples_that_q_and_rho_were_found_on_are_not_certified(settings):
    plain = settings(
        "experiment=demo", "certifier=balanced", "~certifier.delta", "certifier.q=0.8", "certifier.rho=0.1"
    )
    calibration = {"Gaussian(sigma=0.1)": {"q": 0.8, "rho": 0.1, "examples": [96, 97]}}
    used = _with(plain, calibration=calibration)
    require_other_examples(used, [0, 1, 95])
    require_other_examples(plain, [96])
    with pytest.raises(SettingError, match="found on example 97, so they must not be used to certify it"):
        require_other_examples(used, [0, 97])


def _with(settings, **arguments):
    return replace(settings, certifier=Group(settings.certifier.target, settings.certifier.arguments | arguments))


def test_a_calibration_is_not_identity_but_q_and_rho_are(settings):
    given = ("experiment=digits_tvd", "certifier=balanced", "certifier.q=0.8")
    one, two, other = (
        identity(each, "")
        for each in (
            settings(*given, "certifier.rho=5"),
            _with(settings(*given, "certifier.rho=5"), calibration={"a": {}}),
            settings(*given, "certifier.rho=6"),
        )
    )
    assert one == two != other


@pytest.mark.long
@pytest.mark.parametrize(
    ("experiment", "certifier"),
    [pytest.param("digits_tvd", "balanced", marks=pytest.mark.slow), ("digits_l1_tvd", "exact_balanced")],
)
def test_calibrate_then_certify_from_a_folder_of_ones_own(python, tmp_path, experiment, certifier):
    own = tmp_path / "conf"
    own.mkdir()
    some = {"balanced": ("certifier.n=400", "certifier.m=400"), "exact_balanced": ()}[certifier]
    given = ("--config-dir", own, f"experiment={experiment}", f"checkpoints.root={tmp_path}", "device=cpu")
    short = ("trainer.epochs=2", "noise.sigma=0.5", "eps=[0.125,0.25]")
    trained = python("train.py", *given, *short)
    assert trained.returncode == 0, trained.stderr
    refused = python("certify.py", *given, *short, *some, *QUICK, f"certifier={certifier}", f"results.root={tmp_path}")
    assert refused.returncode == 1
    assert "certifier.q: expected a number fixed before the examples are certified" in refused.stderr
    found = python("-m", "experiments.calibrate", *given, *short, *some, *QUICK, f"certifier={certifier}")
    assert found.returncode == 0, found.stderr
    name = found.stdout.rpartition("calibration=")[2].split()[0]
    (entry,) = yaml.safe_load((own / "calibration" / f"{name}.yaml").read_text())["calibration"].values()
    assert entry["images"] == "6 training images"
    assert [each["q"] for each in entry["by_q"]] == list(SHARES)
    certified = python(
        "certify.py",
        *given,
        *short,
        *some,
        *QUICK,
        f"certifier={certifier}",
        f"calibration={name}",
        f"results.root={tmp_path / 'results'}",
    )
    assert certified.returncode == 0, certified.stderr
    assert f"calibration: q={entry['q']:g}" in certified.stdout
    (path,) = (tmp_path / "results").glob("*/*/certificates.csv")
    table = pd.read_csv(path)
    assert len(table) == 12
    assert (table.status == "certified").any()
    record = json.loads((path.parent / "run.json").read_text())
    assert record["identity"]["certifier"]["rho"] == entry["rho"]
    assert "calibration" not in record["identity"]["certifier"]


def test_the_stored_draws_of_a_run():
    """The last ten photographs of a committed run, whose draws give the same certificates with these q and rho."""
    (folder,) = (ROOT / "results" / "faces_jaccard").glob("sigma=0.1-*")
    (run,) = find_runs(folder)
    found = calibrate_on_draws(run, settings_of(run.record), 10)
    assert found.examples == list(range(20, 30))
    assert found.noise == "Gaussian(sigma=0.1)"
    own = BalancedSettings(found.q, found.rho)
    draws = [rechecked(run.draws[index], found.rho) for index in found.examples]
    at = [balanced_certificate(each, found.eps[0], Gaussian(0.1), Jaccard(), own) for each in draws]
    assert sum(c.status == "abstained" for c in at) <= 1
    assert sorted(c.eps_out for c in at)[4] == pytest.approx(found.eps_out[0])
    with pytest.raises(SettingError, match="has draws of 30 examples; calibrate on fewer, got 30"):
        calibrate_on_draws(run, settings_of(run.record), 30)
