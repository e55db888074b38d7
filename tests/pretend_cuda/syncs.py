"""Count where the host waits for the device, and print a line of JSON for each case.

The network and the noise are known from a first run, and the inputs are on the device, as in a long run.
"""

import json

import torch
from cases import NOISES, PLAIN, made
from checker import watched
from device import pretend
from functions import VOTES, Network

import smoothing

DEVICE, IMAGES = "cuda", 6


def counted(certifier, make_noise, metric, **options):
    """Host syncs by their place, and the number of batches, for all images."""
    batches = []
    with watched() as seen:
        options |= {"batch_size": 64, "on_samples": batches.append}
        c = made(certifier, make_noise, Network, metric, DEVICE, **options)
        x = torch.randint(17, (IMAGES, 1, 8, 8)).to(DEVICE) / 16
        c.engine.run(c.procedure(x[0], 0, 0))
        batches.clear()
        seen.syncs.clear()
        for _ in c.engine.run_all(c.procedure(x[k], k, 0) for k in range(IMAGES)):
            pass
        return {"images": IMAGES, "batches": len(batches), "syncs": seen.syncs}


def counted_of_all(device):
    """The same for inputs on a device, with their checks."""
    batches = []
    with watched() as seen:
        f = Network(*VOTES).to(DEVICE)
        g = smoothing.SmoothedClassifier(f, PLAIN(), batch_size=64, on_samples=batches.append)
        x = torch.randint(17, (IMAGES, 1, 8, 8)).to(device) / 16
        g.predict(x[0])
        batches.clear()
        seen.syncs.clear()
        for _ in g.certify_all(x, n0=32, n=416):
            pass
        return {"images": IMAGES, "batches": len(batches), "syncs": seen.syncs}


def main():
    pretend()
    for makers in NOISES.values():
        for make_noise in makers:
            show(f"Certify {make_noise()!r}", counted(smoothing.Certify, make_noise, None, n0=32, n=416))
    show("certify_all, on the device", counted_of_all(DEVICE))
    show("certify_all, on the CPU", counted_of_all("cpu"))
    for metric in ("L2", "TotalVariation", "Hamming", "MaskJaccard", "FiniteSpace"):
        show(f"CenterSmoothing {metric}", counted(smoothing.CenterSmoothing, PLAIN, metric, n=320, m=320))


def show(case, found):
    print(json.dumps({"case": case} | found))


if __name__ == "__main__":
    main()
