"""Samples a second, each beside what it is to be held against: `make bench`.

The face detector beside the library that it comes from; DSSN's enumeration beside the network alone on the same
batches. Both sides see the same inputs in the same process, in turn; quote the ratio, the seconds are this machine's.
"""

import time
from collections.abc import Callable

import facenet_pytorch
import torch
from torch import nn

from experiments.data import Faces
from models.classifiers import SmallCNN, WideResNet
from models.face_detector import FaceDetector
from smoothing import DeterministicSplitting, Jaccard, SmoothedClassifier
from smoothing.center_smoothing import best_center

IMAGES, SIGMA, ROUNDS = 64, 0.1, 3


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{device}, {torch.get_num_threads()} threads, best of {ROUNDS}")
    for sigma in (0.5, 3.5):
        enumeration(WideResNet(10, 3, [0.5] * 3, [0.25] * 3, depth=40, width=2), 255, (3, 32, 32), sigma, device)
        enumeration(SmallCNN(10, 1, [0.3], [0.4]), 16, (1, 8, 8), sigma, device)
    detector(device)


def enumeration(network: nn.Module, levels: int, shape: tuple[int, ...], sigma: float, device: torch.device) -> None:
    """DSSN certificates of one image by a network with random weights, beside its forward passes alone."""
    noise = DeterministicSplitting(sigma, levels, shape)
    g = SmoothedClassifier(network.to(device), noise, batch_size=250)
    x = (torch.randint(levels + 1, shape, generator=torch.Generator().manual_seed(0)) / levels).to(device)
    batches = list(noise.enumerate(x, 250))
    g.certify_exactly(x)
    certified, bare = [], []
    for _ in range(ROUNDS):
        certified.append(_seconds(lambda: g.certify_exactly(x)))
        bare.append(_seconds(lambda: [network(batch) for batch in batches]))
    print(
        f"  DSSN, {type(network).__name__}, sigma = {sigma}: {noise.steps / min(certified):8.0f} levels/s, "
        f"{min(bare) / min(certified):.0%} of the network alone ({noise.steps} levels)"
    )


def detector(device: torch.device) -> None:
    """The face detector, and MTCNN.detect of facenet-pytorch."""
    faces = Faces()
    clean = torch.stack([faces[index] for index in range(IMAGES)])
    images = (clean + SIGMA * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).to(device)
    ours = FaceDetector().to(device)
    theirs = facenet_pytorch.MTCNN(device=device).eval()
    sides: dict[str, Callable[[], object]] = {
        "FaceDetector, batches of 32": lambda: [ours(batch) for batch in images.split(32)],
        "MTCNN.detect, one batch": lambda: theirs.detect((images * 255).permute(0, 2, 3, 1)),
        "MTCNN.detect, one by one": lambda: [theirs.detect((image * 255).permute(1, 2, 0)) for image in images],
    }
    seconds = {name: [_seconds(side) for _ in range(ROUNDS + 1)][1:] for name, side in sides.items()}
    reference = min(seconds["FaceDetector, batches of 32"])
    print(f"  {IMAGES} photographs at sigma = {SIGMA}")
    for name, times in seconds.items():
        print(f"  {name:30} {IMAGES / min(times):8.1f} samples/s   {min(times) / reference:5.2f} x the time")
    boxes = ours(images).repeat(32, 1)
    print(f"  center of {len(boxes)} boxes, all pairs: {_seconds(lambda: best_center(boxes, Jaccard())):.2f} s")


def _seconds(work: Callable[[], object]) -> float:
    with torch.inference_mode():
        _settle()
        started = time.perf_counter()
        work()
        _settle()
        return time.perf_counter() - started


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
