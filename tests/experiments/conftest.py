"""Fixtures of figures: drawing one by its name, and run folders as certify.py leaves them."""

import json

import pandas as pd
import pytest
from omegaconf import OmegaConf

from experiments import composition
from experiments.figures import CONF, draw_all


@pytest.fixture
def drawn():
    """drawn(name, out, ...) draws the figure of that name with other arguments, if any; returns its main files."""

    def draw(name, out, *, source=None, results=None, **arguments):
        node = OmegaConf.to_container(OmegaConf.load(CONF / "figure" / f"{name}.yaml")) | arguments
        figure = composition.build(composition.checked_group(f"figure {name}", node))
        return draw_all(name, figure, results or out, source, out / "figures")

    return draw


@pytest.fixture
def write_run():
    """write_run(folder, rows, certifier, ...) writes a run of the experiment that the folder lies in."""

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
