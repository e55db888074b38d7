"""Fixtures: brief training, drawing a figure by name, and run folders as certify.py writes them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure as MatplotlibFigure
from omegaconf import OmegaConf

from experiments.config.check import checked
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.report import direct_labels
from experiments.report.figure import CONF, drawings, figure_of
from experiments.report.sources import Source
from experiments.training import loop
from smoothing import CenterSmoothing, DeterministicSplitting, Splitting, Uniform
from smoothing.class_bounds import ClassBounds
from smoothing.classifier_guarantee import certificate
from smoothing.exact_guarantee import exact_certificate

RENDERED = set()  # names of figures
CENTER = {"type": "CenterSmoothing", "n": 2000, "m": 45000, "delta": 0.05, "bound": "exact"}


@pytest.fixture(scope="session")
def composed():
    """The checked settings of a train command: composed("noise.sigma=0.5")."""
    register()

    def settings(*overrides):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return checked(compose("train", list(overrides)), Settings)

    return settings


@pytest.fixture
def trained(composed, tmp_path):
    """Train the small network for three epochs: trained("seed=1") -> the checkpoint's folder."""
    quick = ("trainer.epochs=3", "trainer.lr_step=2", "device=cpu")

    def train(*overrides, root=tmp_path / "checkpoints"):
        return loop.train(composed(*quick, f"checkpoints.root={root}", *overrides))

    return train


def without_layout(patch):
    """Lay no figure out, and place no names beside curves: the slowest parts of a drawing."""
    patch.setattr(MatplotlibFigure, "draw_without_rendering", lambda _: None)
    patch.setattr(direct_labels, "write_names", lambda axis, curves: True)


def saving(suffixes, save=MatplotlibFigure.savefig):
    """A savefig that saves files with these suffixes, and leaves other files empty."""

    def saved(figure, path, **options):
        if Path(path).suffix in suffixes:
            save(figure, path, **options)
        else:
            Path(path).touch()

    return saved


@pytest.fixture(scope="session")
def figure():
    """figure(name, ...) is the figure of that name, with changed arguments if given."""

    def build(name, **arguments):
        node = OmegaConf.to_container(OmegaConf.load(CONF / "figure" / f"{name}.yaml")) | arguments
        return figure_of(name, node)

    return build


@pytest.fixture
def unrendered(monkeypatch):
    """Leave image files empty, and lay nothing out: for tests of a drawing's numbers and verdicts."""
    monkeypatch.setattr(MatplotlibFigure, "savefig", saving(()))
    without_layout(monkeypatch)


@pytest.fixture
def drawn(figure, monkeypatch):
    """drawn(name, out, ...) draws the figure of that name, with changed arguments if given. Returns its main files.

    source: a folder, or a list of `Source`s.
    Rendering takes most of the time. So each process renders a figure once, or where files=True, and later drawings
    leave empty image files, and place no names beside curves.
    """

    def draw(name, out, *, source=None, results=None, files=False, **arguments):
        chosen = figure(name, **arguments)
        with monkeypatch.context() as patch:
            if not files:
                written = () if name in RENDERED else (".png", ".svg")  # a PDF's fonts take a quarter of a second
                patch.setattr(MatplotlibFigure, "savefig", saving(written))
            if not files and name in RENDERED:
                without_layout(patch)
            sources = [Source("", source)] if isinstance(source, Path) else source
            found = [drawn.path for drawn in drawings(name, chosen, results or out, sources, out / "figures")]
        RENDERED.update([name] if found else [])
        return found

    return draw


@pytest.fixture
def write_run():
    """write_run(folder, rows, certifier, ...) writes a run of the experiment whose folder contains it."""

    def write(folder, rows, certifier, sigma, trained, started="2026-01-01", weights=None):
        folder.mkdir(parents=True)
        pd.DataFrame(rows).to_csv(folder / "certificates.csv", index=False)
        noise = {"noise": {"type": "Gaussian", "sigma": sigma}} if sigma else {}
        training = {"noise": {"type": "Gaussian", "sigma": trained} if trained else None, "epochs": 1}
        identity = {
            "dataset": {"type": "Digits"},
            "model": {"type": "SmallCNN"},
            "training": training | {"weights": weights or str(folder)},
            "certifier": certifier,
            "seed": 0,
        }
        record = {"identity": identity | noise, "config": {"name": folder.parent.name}, "started": started}
        (folder / "run.json").write_text(json.dumps(record))

    return write


@pytest.fixture
def write_center_run(tmp_path):
    """write_center_run(name, dataset, model, metric, sigma, ...) writes a run as certify.py does. Returns its folder.

    Args:
        eps_out: (examples,) at the smaller eps; scale times that at the larger. NaN: abstained; inf: failed.
        error: (examples,), smoothing errors.
        noisy: whether the base function was trained under the noise of certification.
        eps: input radii; the two ratios of fig. 5 by default.
    """

    def write(name, dataset, model, metric, sigma, eps_out=(1.0, 2.0, 3.0), error=(0.1, 0.2, 0.3), **given):
        noise = given.get("noise", {"type": "Gaussian", "sigma": sigma})
        training = {"type": "AutoencoderTrainer", "epochs": 3, "noisy": given.get("noisy", True)}
        training |= {"noise": noise if given.get("noisy", True) else None, "weights": f"w{sigma}{dataset}{model}"}
        training |= given.get("training", {})
        certifier = given.get("certifier", CENTER)
        identity = {
            "dataset": {"type": dataset, "step": 200},
            "model": {"type": model} | given.get("arguments", {}),
            "noise": noise,
            "certifier": certifier,
            "metric": {"type": metric},
            "seed": 0,
            "precision": "float32",
        }
        if model != "BigGAN":
            identity["training"] = training
        rows = []
        for k, eps in enumerate(given.get("eps", (1.5 * sigma, 2 * sigma))):
            for index, (out, wrong) in enumerate(zip(eps_out, error, strict=True)):
                out = out * given.get("scale", 1.5) ** k
                status = "abstained" if np.isnan(out) else "certified" if np.isfinite(out) else "failed"
                row = {"index": index, "eps_in": eps, "eps_out": np.inf if np.isnan(out) else out, "status": status}
                quantile = {"distance_quantile": out / given["factor"]} if "factor" in given else {}
                claimed = quantile | {
                    "failure_probability": given.get("failure_probability", 0.01 * (status == "certified"))
                }
                rows.append(dict.fromkeys(CenterSmoothing.columns, 0) | row | claimed | {"smoothing_error": wrong})
        config = {"name": name, "dataset": {"_target_": f"experiments.data.{dataset}"}}
        config["metric"] = {"_target_": f"smoothing.metrics.{metric}"} | (
            {"span": 1.0} if metric == "TotalVariation" else {}
        )
        started = given.get("started", "2026-01-01")
        folder = tmp_path / name / f"sigma={sigma}-{model}-{given.get('noisy', True)}-{started}"
        folder.mkdir(parents=True)
        pd.DataFrame(rows)[list(CenterSmoothing.columns)].to_csv(folder / "certificates.csv", index=False)
        record = {"identity": identity, "config": config, "started": started}
        (folder / "run.json").write_text(json.dumps(record))
        return folder

    return write


L1_LEVELS, L1_N = 16, 1000
L1_NOISES = {"uniform": "Uniform", "ssn": "Splitting", "dssn": "DeterministicSplitting"}
L1_SHARES = [1.0, 0.95, 0.9, 0.8, 0.7, 0.55, 1.0, 0.4]  # the share of votes for class A
L1_RIGHT = [True, True, True, True, True, True, False, True]  # whether class A is the label


def _label(index):
    return 1 + index % 8  # several classes, because one class for every example certifies nothing


def _randomised_row(index, share, right, noise):
    guess, n_a = _label(index) + (not right), round(share * L1_N)
    c = certificate(guess, n_a, L1_N - n_a, L1_N, 64, noise, ClassBounds(0.001), 10)
    return {
        "predict": c.prediction,
        "radius": c.radius,
        "n_a": n_a,
        "n": L1_N,
        "status": c.status,
        "n0": 64,
        "guess": guess,
    }


def _exact_row(index, share, right, noise):
    votes = [0] * 11
    votes[_label(index) + (not right)] = round(share * noise.steps)
    votes[10] = noise.steps - sum(votes)
    c = exact_certificate(votes, noise)
    return {"predict": c.prediction, "radius": c.radius, "n_a": c.n_a, "n": c.n, "status": c.status, "levels": c.levels}


@pytest.fixture
def write_l1_run():
    """write_l1_run(root, method, sigma, ...) writes a run with an l1 noise, from the shares of votes for class A."""

    def write(root, method, sigma, shares=L1_SHARES, right=L1_RIGHT, *, data="digits", **given):
        """Write a run as certify.py does; given: stability, denoised, loss, seconds, started, levels, trained."""
        levels = given.get("levels", L1_LEVELS)
        noise, make, certifier = {
            "uniform": (lambda: Uniform(sigma), _randomised_row, "Certify"),
            "ssn": (lambda: Splitting(sigma, levels), _randomised_row, "Certify"),
            "dssn": (lambda: DeterministicSplitting(sigma, levels, (1, 8, 8)), _exact_row, "ExactCertify"),
        }[method]
        rows = []
        for index, (share, is_right) in enumerate(zip(shares, right, strict=True)):
            row = {"index": index, "label": _label(index), **make(index, share, is_right, noise())}
            rows.append({**row, "correct": row["predict"] == row["label"], "seconds": given.get("seconds", 0.1)})
        described = {"type": L1_NOISES[method], "sigma": sigma} | ({"seed": 0} if method == "dssn" else {})
        stability = given.get("stability", 0.0)
        name = f"{data}_{method}{'_denoised' if given.get('denoised') else ''}"
        identity = {
            "dataset": {"type": data},
            "model": {"type": "Denoised" if given.get("denoised") else "SmallCNN"},
            "noise": described,
            "certifier": {"type": certifier}
            | ({"n0": 64, "n": L1_N, "alpha": 0.001} if certifier == "Certify" else {}),
            "training": {
                "type": "DenoiserTrainer" if given.get("denoised") else "Trainer",
                "noise": given.get("trained", described),
                "stability": stability,
                **({"loss": given["loss"]} if "loss" in given else {}),
                "weights": f"{method}{sigma}{stability}{given.get('loss', '')}",
            },
            "seed": 0,
            "precision": "float32",
        }
        started = given.get("started", "2026-01-01")
        record = {"identity": identity, "config": {"name": name}, "started": started, "device": "a made-up machine"}
        folder = root / name / f"sigma={sigma}-{stability}-{given.get('loss', '')}-{started}"
        folder.mkdir(parents=True)
        pd.DataFrame(rows).to_csv(folder / "certificates.csv", index=False)
        (folder / "run.json").write_text(json.dumps(record))

    return write


@pytest.fixture
def l1_runs(tmp_path, write_l1_run):
    """Three noises at three sigmas, with and without stability training."""
    for method, better in (("uniform", 0.0), ("ssn", 0.02), ("dssn", 0.04)):
        for sigma in (0.25, 0.5, 2.0):
            shares = [min(1.0, s + better * sigma) for s in L1_SHARES]
            write_l1_run(tmp_path, method, sigma, shares)
            write_l1_run(tmp_path, method, sigma, [min(1.0, s + 0.01) for s in shares], stability=6.0)
    return tmp_path
