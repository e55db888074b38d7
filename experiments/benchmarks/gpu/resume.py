"""The same command twice, resumed, and resumed on another device."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from hydra import compose, initialize_config_dir

from experiments.benchmarks.gpu import FAILED
from experiments.certifying.certification import certify
from experiments.config.check import checked
from experiments.config.command_line import CONF
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.machine.device import device_name
from experiments.training.loop import train
from smoothing import SmoothingError

MOST = 6  # examples
CENTER = (("n", 300), ("m", 300), ("delta", 0.25))
EXPERIMENT = "digits_gaussian"


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Train a small network briefly, then certify digits with it: by votes, and by center smoothing of its scores."""
    register()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        trained = train(_settings("train", root, device, "trainer.epochs=1"))
        votes = f"certifier.n={200 if tiny else 20_000}", "noise.sigma=0.25", f"checkpoint={trained}", "batch_size=512"
        center = *votes[1:], "certifier=center", "metric=l2", "eps=[0.1]", *(f"certifier.{k}={v}" for k, v in CENTER)
        for name, more in (("votes", votes), ("centers", center)):
            yield from _resumed(name, root / name, device, more)
        yield from _across(root, device, votes)


def _settings(command: str, root: Path, device: torch.device, *more: str) -> Settings:
    kept = f"results.root={root}/results", f"checkpoints.root={root}/checkpoints", f"device={device}"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return checked(compose(command, [f"experiment={EXPERIMENT}", *kept, *more]), Settings)


def _certified(root: Path, device: torch.device, limit: int, more: tuple[str, ...]) -> Path:
    return certify(_settings("certify", root, device, f"limit={limit}", *more))


def _rows(table: Path) -> pd.DataFrame:
    return pd.read_csv(table).drop(columns="seconds")


def _resumed(name: str, root: Path, device: torch.device, more: tuple[str, ...]) -> Iterator[str]:
    """A run resumed after half of its examples has the rows of an uninterrupted one, and a third run adds nothing."""
    whole = _certified(root / "whole", device, MOST, more)
    _certified(root / "half", device, MOST // 2, more)
    half = _certified(root / "half", device, MOST, more)
    equal = _rows(whole).equals(_rows(half))
    yield (
        f"{name}: rows resumed after {MOST // 2} of {MOST} examples are equal"
        if equal
        else (f"{FAILED}{name}: resumed rows differ\n{_rows(whole)}\n{_rows(half)}")
    )
    before = whole.read_bytes()
    _certified(root / "whole", device, MOST, more)
    same = whole.read_bytes() == before
    yield (f"{name}: the same command again changes nothing" if same else f"{FAILED}{name}: a finished table changed")
    again = _certified(root / "again", device, MOST, more)
    equal = _rows(whole).equals(_rows(again))
    yield (
        f"{name}: the same command elsewhere gives equal rows"
        if equal
        else f"{FAILED}{name}: another run has other rows"
    )


def _across(root: Path, device: torch.device, more: tuple[str, ...]) -> Iterator[str]:
    """A run that began on the CPU and goes on on the device is refused, or run.json names both."""
    cpu = torch.device("cpu")
    first = _certified(root / "across", cpu, MOST // 2, more)
    try:
        _certified(root / "across", device, MOST, more)
    except SmoothingError as error:
        yield f"resumed on another device: refused: {error}"
        return
    record: dict[str, Any] = json.loads((first.parent / "run.json").read_text())
    named = [record["device"], *(start["device"] for start in record["resumed"])]
    said = named == [device_name(cpu), device_name(device)]
    yield f"{'' if said else FAILED}resumed on another device: run.json names {named}"
