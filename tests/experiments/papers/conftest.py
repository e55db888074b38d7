"""Fixtures: stored draws of photographs, and a calibration for them."""

import numpy as np
import pytest
import torch
import yaml

from experiments.certifying.rows import row
from experiments.config.identity import identity
from experiments.papers.kumar2021 import calibrated
from experiments.runs.run_folder import RunFolder
from experiments.runs.table import Schema, TableWriter
from smoothing import CenterDraws, CenterSettings, CenterSmoothing, Gaussian, Jaccard, certificate

BOX = torch.tensor([30.0, 40.0, 120.0, 150.0])
M = 1000


@pytest.fixture
def face_draws(settings, tmp_path):
    """Two runs of five photographs, sigma = 0.1 and 0.2. Returns the draws of each."""
    rng, found = np.random.default_rng(1), {}
    for sigma in (0.1, 0.2):
        plain = settings("experiment=faces_jaccard", f"noise.sigma={sigma}", f"results.root={tmp_path}")
        folder = RunFolder(tmp_path, plain, identity(plain, ""))
        folder.begin({"device": "cpu", "arithmetic": {}})
        with TableWriter(folder.table_path, Schema.of(CenterSmoothing)) as table:
            for index in range(5):
                distances = np.sort(np.abs(rng.normal(0, 0.04 * (index + 1) * sigma, M)))
                kept = CenterDraws(BOX, BOX, 0.02, n=1500, inside=1000, distances=distances, smoothing_error=0.01)
                folder.save(index, kept, 1.0)
                claimed = certificate(kept, sigma, Gaussian(sigma), Jaccard(), CenterSettings("exact", 0.07))
                table.write([row(Schema.of(CenterSmoothing), claimed, index=index, seconds=1.0)])
                found.setdefault(sigma, {})[index] = kept
    return found


@pytest.fixture
def calibrate(tmp_path, monkeypatch):
    """calibrate({noise: changes}) writes the calibration of faces_jaccard."""
    monkeypatch.setattr(calibrated, "CALIBRATIONS", tmp_path)

    def write(entries):
        by_q = [
            {"q": 0.5, "rho": 0.02, "median_eps_out": [0.1, 0.2]},
            {"q": 0.8, "rho": 0.04, "median_eps_out": [0.2, 0.2]},
        ]
        entry = {"q": 0.8, "rho": 0.04, "eps": [0.1, 0.2], "examples": [], "by_q": by_q}
        content = {"calibration": {noise: entry | changes for noise, changes in entries.items()}}
        (tmp_path / "faces_jaccard.yaml").write_text(yaml.safe_dump(content))

    return write
