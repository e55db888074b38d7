"""A face detector's certificate, compared with a plain version of the published procedure.

Published: Kumar and Goldstein (2021), fig. 3, h = eps / sigma = 2: n = 5000, m = 10^4, facenet-pytorch's MTCNN,
float32, noise on the image in 0..255, the medoid by a loop over samples. The authors' script passes 1000 images at once
to MTCNN.detect. Here it gets them one by one and in batches, and the faster way counts. Ours gives a certificate at
least as strong from fewer samples (`smoothing.matching`), with a detector that processes whole batches. A part of both
sides' samples is timed and extrapolated in proportion.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import facenet_pytorch
import torch
from torch import Tensor

from experiments.benchmarks.measuring import ROUNDS, seconds
from experiments.data import Faces
from models.face_detector import FaceDetector
from smoothing import Gaussian, Jaccard
from smoothing.base_function import FrozenFunction
from smoothing.center_guarantee import CenterSettings
from smoothing.engine import Engine
from smoothing.matching import matched_samples
from smoothing.medoid import best_center
from smoothing.sampling import Procedure, Samples, whole
from smoothing.streams import Stage, Stream

PAPER_N, PAPER_M = 5000, 10_000
FEW = 2000  # samples for the center; the certificate is as strong, but the center is accepted less often
SIGMA, EPS = 0.1, 0.2  # h = 2
PHOTOGRAPH = 0  # the portrait, which is as sharp as CelebA's images
SINGLY, TOGETHER = 12, 32  # timed samples of the plain procedure: passed one by one, and as one batch
LOOP_ROWS = 50  # timed rows of the plain medoid's 5000
OUR_SAMPLES = 128  # timed samples of ours; our medoids are computed completely


@dataclass(frozen=True)
class FacesRatio:
    """Speed of our certificate compared with the plain procedure. All numbers are medians over the rounds.

    Attributes:
        plain_seconds: seconds of the plain procedure, with the faster way to call MTCNN.detect.
        our_seconds: our seconds with n = `FEW`.
        ratio: plain_seconds / our_seconds.
        as_often_n: our n for a center that is accepted with probability 0.99, about as often as the paper's.
        as_often_seconds: our seconds with as_often_n samples.
        as_often_ratio: plain_seconds / as_often_seconds.
        m: our samples for the output radius.
        singly: milliseconds per sample of MTCNN.detect, one image at a time.
        together: milliseconds per sample of MTCNN.detect, `TOGETHER` images at a time.
        ours: our milliseconds per sample.
    """

    plain_seconds: float
    our_seconds: float
    ratio: float
    as_often_n: int
    as_often_seconds: float
    as_often_ratio: float
    m: int
    singly: float
    together: float
    ours: float

    def __str__(self) -> str:
        return (
            f"faces, h = {EPS / SIGMA:g}: {self.plain_seconds:.0f} s plain; ours {self.our_seconds:.1f} s with "
            f"n = {FEW}, m = {self.m}: {self.ratio:.1f}x; {self.as_often_seconds:.1f} s with n = {self.as_often_n}, "
            f"accepted as often: {self.as_often_ratio:.1f}x (ms a sample: MTCNN.detect {self.singly:.1f} one by one, "
            f"{self.together:.1f} in batches of {TOGETHER}, ours {self.ours:.1f}; timed in each of {ROUNDS} rounds: "
            f"{SINGLY} + {TOGETHER} of the plain {2 * PAPER_N + PAPER_M} samples and {LOOP_ROWS} of its {PAPER_N} "
            f"medoid rows, {OUR_SAMPLES} samples of ours)"
        )


def faces_ratio(photograph: int = PHOTOGRAPH) -> FacesRatio:
    """Time both sides' certificates for one photograph (its index in `Faces`), alternately, `ROUNDS` times."""
    noise, device = Gaussian(SIGMA), torch.device("cuda" if torch.cuda.is_available() else "cpu")
    as_often, m = matched_samples(PAPER_N, PAPER_M, [EPS], noise, CenterSettings())
    image = Faces()[photograph].to(device)
    mtcnn = facenet_pytorch.MTCNN(device=device)
    engine = Engine(FrozenFunction(FaceDetector().to(device)), None)
    engine.tune(image)  # once per run, not per certificate
    boxes = engine.run(_boxes(image, noise, ROUNDS))

    def some(count: int) -> Tensor:
        return boxes.repeat(-(-count // len(boxes)), 1)[:count]

    sides: list[tuple[Callable[[int], object], int]] = [
        (lambda seed: _detect(mtcnn, image, [1] * SINGLY, seed), SINGLY),
        (lambda seed: _detect(mtcnn, image, [TOGETHER], seed), TOGETHER),
        (lambda seed: _loop(some(PAPER_N), LOOP_ROWS), LOOP_ROWS),
        (lambda seed: engine.run(_boxes(image, noise, seed)), OUR_SAMPLES),
        (lambda seed: best_center(some(FEW), Jaccard()), 1),
        (lambda seed: best_center(some(as_often), Jaccard()), 1),
    ]
    rounds = [[seconds(partial(work, seed)) / count for work, count in sides] for seed in range(ROUNDS)]
    plain, few, many = [], [], []
    for singly, together, row, ours, few_center, many_center in rounds:
        plain.append(min(singly, together) * (2 * PAPER_N + PAPER_M) + row * PAPER_N)
        few.append(ours * (2 * FEW + m) + few_center)
        many.append(ours * (2 * as_often + m) + many_center)
    milliseconds = [1000 * median(column) for column in zip(*rounds, strict=True)]
    return FacesRatio(
        plain_seconds=median(plain),
        our_seconds=median(few),
        ratio=median(a / b for a, b in zip(plain, few, strict=True)),
        as_often_n=as_often,
        as_often_seconds=median(many),
        as_often_ratio=median(a / b for a, b in zip(plain, many, strict=True)),
        m=m,
        singly=milliseconds[0],
        together=milliseconds[1],
        ours=milliseconds[3],
    )


def _boxes(x: Tensor, noise: Gaussian, seed: int) -> Procedure[Tensor]:
    """The boxes of `OUR_SAMPLES` noisy images: (OUR_SAMPLES, 4)."""
    (outputs,) = yield [Samples(x, noise, whole, Stream(seed, 0, Stage.CENTER), OUR_SAMPLES)]
    return torch.cat(outputs)


def _detect(mtcnn: facenet_pytorch.MTCNN, image: Tensor, batches: list[int], seed: int) -> Tensor:
    """The box of the largest face in noisy copies of the image, in batches of the given sizes. Zeros if no face."""
    pixels, boxes = 255 * image.permute(1, 2, 0), []
    draw = torch.Generator(image.device).manual_seed(seed)
    for count in batches:
        noise = torch.randn(count, *pixels.shape, generator=draw, device=image.device)
        found, _ = mtcnn.detect(pixels + 255 * SIGMA * noise)
        boxes += [torch.zeros(4) if f is None else torch.tensor(f[0].astype(float)) for f in found]
    return torch.stack([box.float() for box in boxes])


def _loop(boxes: Tensor, rows: int) -> Tensor:
    """Median Jaccard distances of the first boxes to all boxes, (n, 4): (rows,)."""
    medians = []
    for box in boxes[:rows]:
        shared = (torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])).clamp(min=0).prod(dim=1)
        either = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) - shared
        medians.append((1 - shared / either).median())
    return torch.stack(medians)
