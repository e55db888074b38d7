"""Run one section: `python -m experiments.benchmarks.gpu.child <module> <device> [tiny]`. It prints the lines."""

import sys
from importlib import import_module

import torch


def main() -> None:
    """Print each line of a section as it is found, so that a killed section keeps its lines."""
    module, device, *tiny = sys.argv[1:]
    for line in import_module(module).run(torch.device(device), bool(tiny)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
