"""Runs sections, each in a process of its own, within a time limit; writes a file for each, and a summary."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from experiments.benchmarks.gpu import FAILED, SKIPPED
from experiments.benchmarks.gpu.sections import Section, missing
from experiments.machine.files import write_atomically

ROOT = Path(__file__).parents[3]
SOURCES = ("smoothing", "models", "experiments", "tests", "conf")
PASSED, NOT_RUN = "passed", "not run"
OUTCOMES = (PASSED, "failed", "skipped")
SUMMARY = "summary.txt"
LONGEST = 160  # characters of an error in the summary


@dataclass(frozen=True)
class Verdict:
    """What became of a section.

    Attributes:
        name: of the section.
        outcome: "passed", "failed", "skipped" or "not run".
        why: the reason, or how long it took.
        current: whether it is about the source, GPU and torch of now.
    """

    name: str
    outcome: str
    why: str
    current: bool = True

    def __str__(self) -> str:
        return f"{self.outcome:7} {self.name:15} {self.why}".rstrip()


@dataclass(frozen=True)
class Runner:
    """Where and how sections run.

    Args:
        device: cuda, cuda:<k> or cpu.
        out: the folder of the files; it is made if it does not exist.
        header: what the results are about: see `header`. A section that has passed under the same header is not run
            again.
        seconds: time limit for all sections together, > 0.
        tiny: whether sections run at their small size.
        again: whether sections that have passed run again.
    """

    device: torch.device
    out: Path
    header: str
    seconds: float = 600
    tiny: bool = False
    again: bool = False

    def run(self, sections: Sequence[Section], chosen: Iterable[str] = ()) -> list[Verdict]:
        """Run sections in their order, print each verdict, and write the summary of all sections after each.

        Args:
            sections: all sections. Their places number the files.
            chosen: names of the sections to run; all if there are none.
        """
        started, chosen = time.monotonic(), set(chosen)
        self.out.mkdir(parents=True, exist_ok=True)
        paths = {section: self.out / f"{k:02d}_{section.name}.txt" for k, section in enumerate(sections, start=1)}
        known = [ended(section.name, path, self.header) for section, path in paths.items()]  # the summary's lines
        verdicts = []
        for place, (section, path) in enumerate(paths.items()):
            if chosen and section.name not in chosen:
                continue
            known[place] = verdict = self._one(section, path, self.seconds - (time.monotonic() - started))
            verdicts.append(verdict)
            print(verdict, flush=True)
            write_atomically(self.out / SUMMARY, "".join(f"{line}\n" for line in (self.header, "", *known)).encode())
        return verdicts

    def _one(self, section: Section, path: Path, left: float) -> Verdict:
        earlier = ended(section.name, path, self.header)
        if earlier.outcome == PASSED and earlier.current and not self.again:
            return earlier
        if packages := missing([section]):
            return Verdict(section.name, "skipped", f"needs {', '.join(packages)}")
        if left < section.seconds:
            return Verdict(section.name, "skipped", f"{max(0, left):.0f} s are left, it may need {section.seconds:g} s")
        begun, limit = time.monotonic(), min(left, 2 * section.seconds)
        with path.open("w") as file:
            print(self.header, end="\n\n", file=file, flush=True)
            code = self._child(section, file.fileno(), limit)
        text = without_folders(path.read_text(errors="replace"))
        verdict = judged(section.name, text, code, limit, time.monotonic() - begun)
        write_atomically(path, f"{text}\n{verdict.outcome}: {verdict.why}\n".encode())
        return verdict

    def _child(self, section: Section, output: int, limit: float) -> int | None:
        """The exit code of the section's process; None if it was ended at the limit, in seconds."""
        command = [sys.executable, "-m", "experiments.benchmarks.gpu.child", section.located, str(self.device)]
        extra = section.environment if self.device.type == "cuda" else {}
        process = subprocess.Popen(
            [*command, *(["tiny"] if self.tiny else [])],
            cwd=ROOT,
            env=os.environ | extra,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # so that its own processes end with it
        )
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def judged(name: str, text: str, code: int | None, limit: float, seconds: float) -> Verdict:
    """The verdict on a section that ended with this exit code; None: it was ended at its limit. Times in seconds."""
    lines = text.splitlines()
    failed = [line.removeprefix(FAILED) for line in lines if line.startswith(FAILED)]
    skipped = [line.removeprefix(SKIPPED) for line in lines if line.startswith(SKIPPED)]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return Verdict(name, "failed", failed[0] + more)
    if code is None:
        return Verdict(name, "failed", f"ended at its limit of {limit:.0f} s")
    if code:
        last = next((line for line in reversed(lines) if line.strip()), "")
        return Verdict(name, "failed", f"its process ended with code {code}: {last[:LONGEST]}")
    if skipped:
        return Verdict(name, "skipped", skipped[0])
    return Verdict(name, PASSED, f"{seconds:.0f} s")


def without_folders(text: str) -> str:
    """The same text without this machine's folders, so that the file can be published."""
    for folder, name in ((Path(sys.prefix), "python"), (ROOT, "."), (Path.home(), "~")):
        if folder != Path(folder.anchor):
            text = text.replace(str(folder), name)
    return text


def ended(name: str, path: Path, header: str) -> Verdict:
    """The verdict on a section that ended earlier, by its file; else that it was not run."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    outcome, found, why = lines[-1].partition(": ") if lines else ("", "", "")
    if not found or outcome not in OUTCOMES:
        return Verdict(name, NOT_RUN, "")
    if lines[0] == header:
        return Verdict(name, outcome, f"{why} (earlier)")
    about = [part for k, part in enumerate(lines[0].split("; ")) if k == 0 or part.startswith("commit ")]
    return Verdict(name, outcome, f"{why} (earlier: {', '.join(about)})", current=False)


def header(device: torch.device, tiny: bool) -> str:
    """What results are about: the commit, the hash of the source, the device, the versions of torch and its driver."""
    size = "; tiny" if tiny else ""
    commit = _output("git", "rev-parse", "HEAD")[:12] or "unknown"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    driver = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").partition("\n")[0]
    return f"{name}; torch {torch.__version__}; driver {driver or 'unknown'}; commit {commit}; source {_source()}{size}"


def _source() -> str:
    """A hash of the code and configuration, for a copy without git, or with changes."""
    found = sha256()
    for path in sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*")):
        if path.suffix in (".py", ".yaml") and path.is_file():
            found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def _output(*command: str) -> str:
    """What a command prints; empty if it fails or does not exist."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
