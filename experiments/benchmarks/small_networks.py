"""Small networks, where noise and bookkeeping weigh most: `python -m experiments.benchmarks.small_networks`.

The same comparison as in `make bench`, with the networks of digits and MNIST, on one thread. Takes a few minutes.
"""

import os
from functools import partial
from pathlib import Path

import torch

from experiments.benchmarks import classifiers
from experiments.benchmarks.measuring import hardware
from experiments.machine.words import counted
from models.classifiers import LeNet, SmallCNN
from smoothing import DeterministicSplitting

OUT = Path("docs/bench_small.txt")
DIGITS, MNIST = (1, 8, 8), (1, 28, 28)
SIGMAS = (0.25, 0.5, 1.0)


def main() -> None:
    """Print the table and write it to docs/bench_small.txt."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are measured
    torch.set_num_threads(1)
    digits, mnist = partial(SmallCNN, 10, 1, [0.5], [0.5]), partial(LeNet, 10, 1, [0.5], [0.5])
    lines = [
        f"{hardware(torch.device('cpu'))}, {counted(torch.get_num_threads(), 'thread')}; torch {torch.__version__}",
        "",
    ]
    for name, make, shape in (("digits", digits, DIGITS), ("MNIST", mnist, MNIST)):
        many = 50_000 if shape == DIGITS else 5_000
        lines += classifiers.votes(f"{name}, Gaussian", make, shape, many).lines()
        for sigma in SIGMAS:
            noise = DeterministicSplitting(sigma, 16 if shape == DIGITS else 255, shape)
            count = max(2, 2 * many // (5 * noise.steps))
            work = f"{name}, DSSN, sigma = {sigma}, L = {noise.steps}"
            lines += classifiers.levels(work, make, noise, count).lines()
        print("\n".join(lines), flush=True)
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
