"""The device of a run: a name that cannot be used is one line. Freed memory is used again."""

import subprocess
import sys

import pytest
import torch

from experiments.machine.device import choose_device
from smoothing import SettingError


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("name", ["mps", "xpu", "meta", "mps:0"])
def test_another_kind_of_device_is_refused(name):
    with pytest.raises(SettingError, match=f"^device: expected auto, cpu or cuda, got {name}; .*never tested$"):
        choose_device(name)


def test_a_gpu_that_is_not_there_is_refused(two_gpus):
    assert [choose_device(name) for name in ("auto", "cuda", "cuda:1", "cpu")] == [
        torch.device("cuda"),
        torch.device("cuda"),
        torch.device("cuda:1"),
        torch.device("cpu"),
    ]
    with pytest.raises(SettingError, match=r"^device: expected cuda:0 to cuda:1, got cuda:99$"):
        choose_device("cuda:99")


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == choose_device("cpu:0") == torch.device("cpu")
    for name in ("cuda", "cuda:0", "cuda:99"):
        with pytest.raises(SettingError, match="torch finds none"):
            choose_device(name)
    with pytest.raises(SettingError, match=r"got gpu$"):
        choose_device("gpu")


FAULTS = """
import resource
import torch
from experiments.machine.device import keep_freed_memory
torch.set_num_threads(1)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(40):
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
fresh = faults()
assert keep_freed_memory()
faults()
print(fresh, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_freed_memory_is_used_again():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    fresh, kept = (int(word) for word in done.stdout.split())
    assert kept < 10 < 400 < fresh  # a page fault for each page of each tensor, without the setting
