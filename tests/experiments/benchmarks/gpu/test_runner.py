"""The runner of `make gpu`, with made-up sections: limits, crashes, files as sections end, and passed ones kept."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from experiments.benchmarks.gpu import FAILED, SKIPPED, __main__
from experiments.benchmarks.gpu.runner import SUMMARY, Runner, Verdict, ended, header, judged, without_folders
from experiments.benchmarks.gpu.sections import NAMES, SECTIONS, Section, missing

ROOT = Path(__file__).parents[4]
CPU = torch.device("cpu")
MODULES = {
    "good": "yield 'fine'",
    "crashing": "yield 'a line before the crash'; import os; os._exit(3)",
    "hanging": "import subprocess, time; subprocess.Popen(['sleep', '600']); time.sleep(600); yield ''",
}
HEADER = "a GPU; commit 1"


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """made_up("good", seconds=9): a section with the module of that name."""
    for name, body in MODULES.items():
        (tmp_path / f"{name}_section.py").write_text(f"def run(device, tiny):\n    {body}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return lambda name, seconds=60: Section(name, seconds, module=f"{name}_section")


@pytest.fixture
def runner(tmp_path):
    """runner(seconds=9): a runner that writes into the folder `out`."""
    return lambda header=HEADER, **settings: Runner(CPU, tmp_path / "out", header, **settings)


def outcomes(verdicts):
    return {verdict.name: verdict.outcome for verdict in verdicts}


def test_a_crash_or_a_hang_leaves_the_other_sections_alone(made_up, runner, tmp_path, capsys):
    sections = [made_up("crashing"), made_up("hanging", 1), made_up("good")]
    verdicts = runner().run(sections)
    assert outcomes(verdicts) == {"crashing": "failed", "hanging": "failed", "good": "passed"}
    assert capsys.readouterr().out.splitlines() == list(map(str, verdicts))
    crashed, hung, good = ((tmp_path / "out" / f"0{k}_{s.name}.txt").read_text() for k, s in enumerate(sections, 1))
    assert "a line before the crash" in crashed
    assert "code 3" in crashed.splitlines()[-1]
    assert hung.splitlines()[-1] == "failed: ended at its limit of 2 s"
    assert good.startswith(f"{HEADER}\n\nfine\n\npassed: ")
    summary = (tmp_path / "out" / SUMMARY).read_text().splitlines()
    assert summary == [HEADER, "", *map(str, verdicts)]
    # The section that passed is not run again under the same header; its process would take a second.
    (again,) = runner().run(sections, ["good"])
    assert (again.outcome, again.why) == ("passed", f"{verdicts[2].why} (earlier)")
    summary = (tmp_path / "out" / SUMMARY).read_text().splitlines()
    assert summary[2:] == [f"{verdict} (earlier)" for verdict in verdicts]


def test_a_section_that_would_not_fit_is_skipped_and_named(made_up, runner):
    (verdict,) = runner(seconds=30).run([made_up("good", 31)])
    assert verdict == Verdict("good", "skipped", "30 s are left, it may need 31 s")


def test_a_section_without_its_packages_is_skipped(runner):
    section = Section("other", 1, needs=("os", "no_such_module"))
    assert missing([section]) == ["no_such_module"]
    assert runner().run([section]) == [Verdict("other", "skipped", "needs no_such_module")]


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("fine\n", 0, ("passed", "7 s")),
        (f"fine\n{FAILED}wrong\n{FAILED}also\n", 0, ("failed", "wrong (and 1 more)")),
        (f"{FAILED}wrong\n", None, ("failed", "wrong")),
        ("fine\n", None, ("failed", "ended at its limit of 20 s")),
        ("fine\nMemoryError\n\n", 1, ("failed", "its process ended with code 1: MemoryError")),
        (f"{SKIPPED}needs two GPUs\n", 0, ("skipped", "needs two GPUs")),
        (f"{SKIPPED}needs two GPUs\n{FAILED}wrong\n", 0, ("failed", "wrong")),
    ],
)
def test_a_section_is_judged_by_its_lines_and_its_exit_code(text, code, expected):
    verdict = judged("one", text, code, 20.0, 7.2)
    assert (verdict.outcome, verdict.why) == expected


def test_a_file_names_no_folder_of_the_machine():
    text = f"{ROOT}/tests/one.py: slow\n{sys.prefix}/lib/x.py\n{Path.home()}/x\n"
    assert without_folders(text) == "./tests/one.py: slow\npython/lib/x.py\n~/x\n"


def test_the_document_names_every_package_that_is_needed():
    text = (ROOT / "docs" / "performance.md").read_text()
    for section in SECTIONS:
        assert f"`{section.name}`" in text
        assert all(NAMES.get(module, module) in text for module in section.needs)


def test_an_earlier_verdict_is_read_from_its_file(tmp_path):
    path = tmp_path / "one.txt"
    assert ended("one", path, HEADER).outcome == "not run"
    for text, found in (
        (f"{HEADER}\n\nfine\n\npassed: 7 s\n", ("passed", "7 s (earlier)")),
        (f"{HEADER}\n\nfine\n\nfailed: wrong: 3\n", ("failed", "wrong: 3 (earlier)")),
        (f"{HEADER}\n\nvotes: 3\n", ("not run", "")),
        ("", ("not run", "")),
        ("a GPU; torch 1; commit 2\n\nfine\n\npassed: 7 s\n", ("passed", "7 s (earlier: a GPU, commit 2)", False)),
    ):
        path.write_text(text)
        assert ended("one", path, HEADER) == Verdict("one", *found)


def test_the_header_names_the_device_and_the_source():
    assert header(CPU, tiny=False).startswith(f"cpu; torch {torch.__version__}; driver ")
    assert header(CPU, tiny=True) == f"{header(CPU, tiny=False)}; tiny"


def test_a_runner_that_is_asked_to_stop_ends_its_section(made_up, tmp_path):
    code = (
        "import signal, sys, torch; from experiments.benchmarks.gpu.runner import Runner;"
        "from experiments.benchmarks.gpu.sections import Section; from pathlib import Path;"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143));"
        f"Runner(torch.device('cpu'), Path({str(tmp_path)!r}) / 'out', 'x').run("
        "[Section('hanging', 60, module='hanging_section')])"
    )
    paths = os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths})
    started = time.monotonic()
    while not (tmp_path / "out" / "01_hanging.txt").exists() and time.monotonic() - started < 60:
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143


def test_without_a_gpu_one_line_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert __main__.main([]) == 0
    assert capsys.readouterr().out == "torch finds no CUDA device here: nothing was run\n"


def test_an_unknown_section_is_refused(capsys):
    with pytest.raises(SystemExit):
        __main__.main(["laws"])
    assert "no such section: laws" in capsys.readouterr().err


def test_every_section_has_a_module_and_a_name_of_its_own():
    assert len({section.name for section in SECTIONS}) == len(SECTIONS)
    for section in SECTIONS:
        assert (ROOT / f"{section.located.replace('.', '/')}.py").is_file()
