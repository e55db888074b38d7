"""Find q and rho for certifier=balanced on training data, and write them into a YAML file that runs name.

python -m experiments.calibrate experiment=digits_tvd certifier=balanced       one noise level
python -m experiments.calibrate -m experiment=digits_tvd certifier=balanced    all noise levels of the experiment
python certify.py -m experiment=digits_tvd certifier=balanced calibration=digits_tvd
python -m experiments.calibrate results/faces_jaccard/<run> 10    on the stored draws of a run's last 10 examples

The file is conf/calibration/<experiment>.yaml, or calibration/<experiment>.yaml in the folder of --config-dir. Each
noise has an entry, which a later run replaces. `limit` is the number of images, `eps` the input radii to choose q for.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hydra
import yaml
from omegaconf import DictConfig

from experiments.again import settings_of
from experiments.certifying.calibrating import ABSTENTION, Calibration, calibrate
from experiments.certifying.calibrating_draws import calibrate_on_draws
from experiments.config.check import checked
from experiments.config.command_line import CONF, config_folders, from_here
from experiments.config.entry import one_line_errors, run
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.machine.files import write_atomically
from experiments.machine.lock import Lock
from experiments.runs.reader import find_runs
from smoothing import SettingError, SmoothingError

register()
HEADER = """# @package certifier
# q and rho of balanced center smoothing, found on {images}.
# Written by: python -m experiments.calibrate experiment={name} ...
"""


@hydra.main(version_base="1.3", config_path="../conf", config_name="certify")
@one_line_errors
def main(cfg: DictConfig) -> list[Path]:
    settings = checked(cfg, Settings)
    found = calibrate(settings)
    path = written(found, settings)
    print(
        f"{found.noise}: q={found.q:g}, rho={found.rho:.6g}, from {found.images}; certify with calibration={path.stem}"
    )
    return [path]


def written(found: Calibration, settings: Settings) -> Path:
    """Write a calibration into its file, beside those of other noises. Returns the file."""
    folder = (config_folders() or [CONF])[-1]
    taken = folder != CONF and (CONF / "calibration" / f"{settings.name}.yaml").exists()  # Hydra would read that one
    path = folder / "calibration" / f"{'my_' if taken else ''}{settings.name}.yaml"
    path.parent.mkdir(exist_ok=True)
    with Lock(path.with_suffix(".lock")):
        entries = (yaml.safe_load(path.read_text()) or {}).get("calibration", {}) if path.exists() else {}
        entries[found.noise] = entry(found, settings)
        content = yaml.safe_dump({"calibration": dict(sorted(entries.items()))}, sort_keys=False, width=120)
        header = HEADER.format(images=found.images, name=settings.name)
        write_atomically(path, (header + content).encode())
    return path


def entry(found: Calibration, settings: Settings) -> dict[str, Any]:
    """An entry of the file: q and rho, and their provenance."""
    certifier = {
        key: value for key, value in settings.certifier.arguments.items() if key in ("n", "m", "alpha1", "alpha2")
    }
    return {
        "q": found.q,
        "rho": found.rho,
        "eps": found.eps,
        "median_eps_out": found.eps_out,
        "images": found.images,
        "examples": found.examples,
        "abstention": ABSTENTION,
        "seed": settings.seed,
        **certifier,
        "by_q": [{"q": q, "rho": rho, "median_eps_out": out} for q, (rho, *out) in found.by_q.items()],
        "written": datetime.now(UTC).date().isoformat(),
    }


def on_draws(folder: str, count: str) -> None:
    """Calibrate on the stored draws of the run in a folder."""
    runs = find_runs(Path(folder))
    if len(runs) != 1:
        raise SettingError(f"{folder}: expected the folder of one run, found {len(runs)}")
    settings = settings_of(runs[0].record)
    found = calibrate_on_draws(runs[0], settings, int(count))
    path = written(found, settings)
    print(f"{found.noise}: q={found.q:g}, rho={found.rho:.6g}, from {found.images}; {from_here(path)}")


if __name__ == "__main__":
    if len(sys.argv) == 3 and Path(sys.argv[1]).is_dir() and sys.argv[2].isdecimal():
        try:
            on_draws(*sys.argv[1:])
        except SmoothingError as error:
            sys.exit(f"calibrate: {error}")
    else:
        run(main)
