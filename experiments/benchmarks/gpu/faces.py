"""A certificate of the face detector, and its speed compared with the published procedure."""

from collections.abc import Iterator

import torch

from experiments.benchmarks.faces import EPS, SIGMA, faces_ratio
from experiments.benchmarks.gpu import FAILED
from experiments.benchmarks.measuring import seconds
from experiments.data import Faces
from models.face_detector import FaceDetector
from smoothing import CenterSmoothing, Gaussian, Jaccard


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Certify the portrait. Tiny: from a quarter of its pixels and few samples, without the comparison."""
    image, n, m, delta = Faces()[0], 2000, 440, 0.08
    if tiny:
        image, n, m, delta = image[:, ::2, ::2], 60, 60, 0.4
    batch_size = 16 if tiny else None
    f_hat = CenterSmoothing(
        FaceDetector().to(device), Gaussian(SIGMA), Jaccard(), n=n, m=m, delta=delta, batch_size=batch_size
    )
    if not tiny:
        yield f"batches of {f_hat.engine.tune(image.to(device))}"
    found = []
    taken = seconds(lambda: found.append(f_hat.certify(image, eps=0 if tiny else EPS)))
    wrong = FAILED if found[0].status != "certified" else ""
    yield f"{wrong}{found[0].status} {found[0].reason}, eps_out = {found[0].eps_out:.3f}, {f_hat.samples / taken:.0f}/s"
    if not tiny:
        yield str(faces_ratio())
