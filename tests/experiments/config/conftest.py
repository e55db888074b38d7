"""Fixture: commands in a folder with a user's own experiment, network and figure."""

import runpy
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

ROOT = Path(__file__).parents[3]
EXPERIMENT = """
# @package _global_
defaults:
  - override /dataset: digits
  - override /model: null
  - override /metric: l2
name: mine
model:
  _target_: my_network.Network
  fails: ""
certifier: {n: 100, m: 100, delta: 0.3}
eps: [0.05]
limit: 2
"""
NETWORK = """
import torch

class Network(torch.nn.Module):
    pretrained = True

    def __init__(self, fails=""):
        super().__init__()
        self.fails = fails
        if fails == "constructor":
            {}["a key"]

    def forward(self, x):
        if self.fails == "torch":
            torch.nn.functional.linear(x, torch.zeros(3, 7))
        if self.fails == "stop":
            raise KeyboardInterrupt
        return x.flatten(1)
"""
FIGURE = """
_target_: experiments.papers.kumar2021.curves.TotalVariationCurves
experiments: [mine]
metric: L2
h: [0.5]
claims: center_tvd
"""


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """typed(script, *arguments) -> exit code, stdout and stderr of a command in a folder with a user's files."""
    for name, text in {"experiment/mine": EXPERIMENT, "figure/my_figure": FIGURE}.items():
        file = tmp_path / "my conf" / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text.strip())
    (tmp_path / "my_network.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr("gc.freeze", lambda: None)  # this process goes on
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # restored after the test
    sys.modules.pop("my_network", None)

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", [str(ROOT / script), *arguments])
        capsys.readouterr()
        code = 0
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as stopped:
            code = stopped.code
        return code, *capsys.readouterr()

    return run
