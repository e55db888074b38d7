"""The seconds of five examples with 100 rows each in batches of 64, each of which takes a pretended GPU a second."""

import json
import time

import torch
from device import pretend

from smoothing import Gaussian, SmoothedClassifier


def main():
    pretend()
    for device in ("cpu", "cuda:0", "cuda:1"):
        f = torch.nn.Linear(6, 3).to(device)
        g = SmoothedClassifier(f, Gaussian(0.5), batch_size=64)
        inputs = torch.rand(5, 6, device=device)
        seconds = []
        procedures = (g.certifying(x, 10, 90, 0.01, example=i) for i, x in enumerate(inputs))
        for _, taken in g.engine.run_all(procedures):
            time.sleep(0.1)  # the caller's time is not an example's
            seconds.append(taken)
        print(json.dumps({"device": device, "seconds": seconds}))


if __name__ == "__main__":
    main()
