"""Fixtures: runs of two methods, with radii that are easy to count."""

import json

import pytest

from experiments.report.sources import Source

CERTIFY = {"type": "Certify", "n0": 100, "n": 1000, "alpha": 0.001}
OURS = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]  # the last abstains
THEIRS = [0.5, 0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.0, 0.0]


@pytest.fixture
def write_classes(tmp_path):
    """write_classes(source, radii, sigma, ...) writes a run of a classifier, and returns its folder. 0: abstained."""

    def write(source, radii, sigma=0.5, wrong=(), start=0, **changes):
        folder = tmp_path / source / f"sigma={sigma}-{len(list(tmp_path.glob(f'{source}/*')))}"
        folder.mkdir(parents=True)
        lines = ["index,label,predict,radius,correct,status,seconds,guess"]
        for k, radius in enumerate(radii):
            status, predict = ("certified", 4 if k in wrong else 3) if radius else ("abstained", -1)
            row = (start + k, 3, predict, radius, predict == 3, status, 0.1, 4 if k in wrong else 3)
            lines.append(",".join(map(str, row)))
        (folder / "certificates.csv").write_text("\n".join(lines) + "\n")
        noise = {"type": "Gaussian", "sigma": sigma} if sigma else {"type": "my_noises.Laplace", "scale": 1.0}
        identity = {"dataset": {"type": "Digits"}, "model": {"type": "SmallCNN"}, "noise": noise}
        identity |= {"certifier": CERTIFY, "training": {"noise": noise, "weights": str(folder)}, "seed": 0}
        identity |= changes.pop("identity", {})
        config = {"name": source, "dataset": {"_target_": "experiments.data.Digits"}}
        record = {"identity": identity, "config": config, "started": "2026-01-01"} | changes
        (folder / "run.json").write_text(json.dumps(record))
        return folder

    return write


@pytest.fixture
def two_methods(tmp_path, write_classes):
    """Ours and theirs, at two noise levels. Returns their sources."""
    for sigma, scale in ((0.5, 1.0), (1.0, 1.5)):
        write_classes("ours", [r * scale for r in OURS], sigma, wrong=[0])
        write_classes("theirs", [r * scale for r in THEIRS], sigma)
    return [Source("ours", tmp_path / "ours"), Source("Cohen et al.", tmp_path / "theirs")]
