"""The seconds of five examples with 100 rows each in batches of 64, each of which takes a pretended GPU a second."""

import json

import torch
from device import pretend

from smoothing import Gaussian, SmoothedClassifier


def run(g, inputs):
    return g.engine.run_all(g.certifying(x, 10, 90, 0.01, example=i) for i, x in enumerate(inputs))


def other_work(device):
    """The caller's: a second of a pretended GPU."""
    if device != "cpu":
        torch.cuda.Event(enable_timing=True).record(torch.cuda.current_stream(device))


def main():
    pretend()
    for device in ("cpu", "cuda:0", "cuda:1"):
        f = torch.nn.Linear(6, 3).to(device)
        g = SmoothedClassifier(f, Gaussian(0.5), batch_size=64)
        inputs = torch.rand(5, 6, device=device)
        seconds = []
        next(run(g, inputs))  # and no more of it
        other_work(device)
        for _, taken in run(g, inputs):
            other_work(device)
            seconds.append(taken)
        print(json.dumps({"device": device, "seconds": seconds}))


if __name__ == "__main__":
    main()
