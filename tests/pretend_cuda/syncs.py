"""Count where the host waits for the device, and print a line of JSON for each noise, and for a center.

The network and the noise are known from a first run, and the inputs are on the device, as in a long run.
"""

import json

import torch
from cases import NOISES, made
from checker import watched
from device import pretend
from functions import Network

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


def main():
    pretend()
    for makers in NOISES.values():
        for make_noise in makers:
            found = counted(smoothing.Certify, make_noise, None, n0=32, n=416)
            print(json.dumps({"case": f"Certify {make_noise()!r}"} | found))
    for metric in ("L2", "TotalVariation"):
        found = counted(smoothing.CenterSmoothing, NOISES["Gaussian"][0], metric, n=320, m=320)
        print(json.dumps({"case": f"CenterSmoothing {metric}"} | found))


if __name__ == "__main__":
    main()
