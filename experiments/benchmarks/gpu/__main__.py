"""Settle the questions to a GPU in ten minutes: `make gpu`, or `python -m experiments.benchmarks.gpu`.

Writes docs/gpu/<number>_<section>.txt as each section ends, and docs/gpu/summary.txt. Needs no network.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.benchmarks.gpu.runner import Runner, header
from experiments.benchmarks.gpu.sections import SECTIONS, missing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections. Returns 1 if one of them failed, else 0; 0 without a GPU."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.gpu", description=str(__doc__))
    parser.add_argument("sections", nargs="*", help=f"default: all of {', '.join(s.name for s in SECTIONS)}")
    parser.add_argument("--out", type=Path, default=Path("docs/gpu"), help="folder of the files; default: docs/gpu")
    parser.add_argument("--seconds", type=float, default=600, help="time limit of all sections; default: 600")
    parser.add_argument("--again", action="store_true", help="run sections again that have passed at this source")
    parser.add_argument("--tiny", action="store_true", help="rehearse at small sizes, also without a GPU")
    given = parser.parse_args(arguments)
    if unknown := set(given.sections) - {section.name for section in SECTIONS}:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if not torch.cuda.is_available() and not given.tiny:
        print("torch finds no CUDA device here: nothing was run")
        return 0
    print(f"missing packages: {', '.join(missing(SECTIONS)) or 'none'}", flush=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the section's process is ended too
    about = header(device, given.tiny)
    print(about, flush=True)
    runner = Runner(device, given.out, about, given.seconds, given.tiny, given.again)
    verdicts = runner.run(SECTIONS, given.sections)
    return int(any(verdict.outcome == "failed" for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
