"""Samples a second of the face detector, beside the library that it comes from: `make bench`.

Both sides see the same noisy photographs in the same process, in turn; quote the ratio, the seconds are this machine's.
"""

import time
from collections.abc import Callable

import facenet_pytorch
import torch

from experiments.data import Faces
from models.face_detector import FaceDetector
from smoothing import Jaccard
from smoothing.center_smoothing import best_center

IMAGES, SIGMA, ROUNDS = 64, 0.1, 3


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
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
    print(f"{device}, {torch.get_num_threads()} threads, {IMAGES} photographs at sigma = {SIGMA}, best of {ROUNDS}")
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
