"""Fixtures: composed settings, and a base function that costs nothing."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from experiments.config.check import checked
from experiments.config.schema import register
from experiments.config.settings import Settings

ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@pytest.fixture(autouse=True)
def same_numbers_every_time():
    """Tests draw inputs and weights from torch's global generator: the same ones in every run."""
    torch.manual_seed(0)


@pytest.fixture
def settings():
    """The checked settings of a certify command: settings("experiment=demo", "noise.sigma=0.2")."""
    register()

    def composed(*overrides):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return checked(compose("certify", list(overrides)), Settings)

    return composed
