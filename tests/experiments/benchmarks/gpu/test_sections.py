"""Each section of `make gpu` at its small size on a CPU; and that its checks can fail."""

import sys
from importlib import import_module
from itertools import count

import pytest
import torch

from experiments.benchmarks.gpu import (
    FAILED,
    SKIPPED,
    bench,
    cases,
    law_of_centers,
    law_of_votes,
    sanitizer,
    streams,
    works,
)
from experiments.benchmarks.gpu.sections import SECTIONS
from smoothing import Gaussian

CPU = torch.device("cpu")
QUICK = ("law_of_votes", "precision", "memory")
SECTION = {section.name: section for section in SECTIONS}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SECTION]
)
def test_a_section_runs_on_a_cpu(name):
    lines = list(import_module(SECTION[name].located).run(CPU, tiny=True))
    assert lines
    assert not [line for line in lines if line.startswith(FAILED)]
    only_on_gpus = ("sanitizer", "two_gpus", "memory")
    assert any(line.startswith(SKIPPED) for line in lines) == (name in only_on_gpus)


def test_a_changed_output_is_found(monkeypatch):
    def changed(*arguments):
        outputs = cases.by_loop(*arguments)
        outputs[123, 4] += 1e-6
        return outputs

    monkeypatch.setattr(cases, "noises", lambda shape: [Gaussian(0.25)])
    monkeypatch.setattr(cases, "by_engine", changed)
    failed, _ = streams.run(CPU, tiny=True)
    assert failed == f"{FAILED}Gaussian(sigma=0.25), batches of 100: 1 outputs differ, first 123"


def test_other_distances_are_found(monkeypatch):
    distances = law_of_centers._distances
    monkeypatch.setattr(law_of_centers, "_distances", lambda *arguments: 1.5 * distances(*arguments))
    monkeypatch.setattr(cases, "spaces", lambda spaces=cases.spaces: spaces()[:1])
    lines = [line for line in law_of_centers.run(CPU, tiny=True) if line.startswith(FAILED)]
    assert any("distances, CenterSmoothing, L2() under" in line for line in lines)


def test_other_votes_and_other_noisy_inputs_are_found(monkeypatch):
    classifier, turn = cases.classifier(), count()
    monkeypatch.setattr(cases, "classifier", lambda: classifier)
    monkeypatch.setattr(cases, "image", lambda *where, f=cases.image: f(*where) if next(turn) % 2 else 1 - f(*where))
    lines = [line for line in law_of_votes.run(CPU, tiny=True) if line.startswith(FAILED)]
    for expected in ("votes under Gaussian", "Certify under Gaussian", "noisy inputs differ", "ExactCertify: "):
        assert any(expected in line for line in lines)


@pytest.mark.slow
def test_a_missed_target_fails():
    (work,) = (work for work in works.works(tiny=True) if work.name == "ResNet-8, 32 x 32")
    assert bench._speed(work, CPU, tiny=True, targeted=True).startswith(FAILED)
    assert "target" not in bench._speed(work, CPU, tiny=True, targeted=False)


def test_reports_of_the_sanitizer_are_read_from_stderr_although_the_library_catches_its_errors():
    def caught():
        print(f"{sanitizer.REPORT} a possible data race", file=sys.stderr)

    def raised():
        raise ValueError("broken")

    assert sanitizer.reported(caught).startswith(sanitizer.REPORT)
    assert sanitizer.reported(raised) == "ValueError: broken"
    assert sanitizer.reported(lambda: None) == ""


def test_both_sides_of_a_work_evaluate_as_many_samples():
    for work in works.works(tiny=True):
        assert work.samples > 0
        assert work.network()(torch.rand(2, *work.shape)).shape[0] == 2
