"""Find q and rho of balanced center smoothing on other data than the certified examples.

For each q of a grid and each calibration image, the certifier says the least rho with which its center is accepted, and
R_hat for each eps. rho(q) is the `1 - ABSTENTION` quantile of these over the images. Then eps_out(q, eps) = gamma times
the median of R_hat plus rho. For one eps, the q with the smallest eps_out is chosen. One pair (q, rho) serves several
eps: then it is the q whose eps_out is, at the worst eps, the smallest multiple of the best q's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.certifying.build import assembled
from experiments.config.settings import Settings
from experiments.data import Dataset, LabelledDataset
from experiments.data.indices import indices_of
from experiments.machine.device import choose_device
from experiments.training.base_function import input_of
from smoothing import BalancedCenterSmoothing, ExactBalancedCenterSmoothing, SettingError
from smoothing.arguments import input_radii
from smoothing.inputs import as_tensor, placed
from smoothing.sampling import Procedure

SHARES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.84, 0.88, 0.91, 0.94, 0.96, 0.97, 0.98)  # the q that are tried
ABSTENTION = 0.1  # share of the calibration images on which f_hat may abstain
IMAGES = 50  # calibration images, if `limit` does not say
OWN_STREAMS = 10**9  # added to an image's number, so that no stream of a certified example is used
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """q and rho, and where they come from.

    Attributes:
        noise: the noise, as the certifier's calibration names it.
        q: mass of the ball.
        rho: its radius.
        eps: the input radii that q was chosen for.
        eps_out: for each eps, the median output radius on the calibration images.
        images: which images, in words.
        examples: their indices, if they are examples of the data set; certificates of these would not hold.
        by_q: for each q that was tried: rho, then the median output radius for each eps.
    """

    noise: str
    q: float
    rho: float
    eps: list[float]
    eps_out: list[float]
    images: str
    examples: list[int]
    by_q: dict[float, list[float]]


def calibrate(settings: Settings) -> Calibration:
    """Calibrate balanced center smoothing for these settings.

    It uses `limit` training images. If the data set has none, it uses its last examples, which are then not certified.

    Raises:
        SettingError: the certifier is not a balanced one, or no q can be certified.
        SmoothingError: as `certify`.
    """
    dataset: Dataset = settings.dataset.build()
    device = choose_device(settings.device)
    own = settings.certifier.replaced(**({"q": 0.5, "rho": 1.0} | _without_calibration(settings)))
    certifier = assembled([replace(settings, certifier=own, eps=[0.0])], dataset, device)[0].certifier
    if not isinstance(certifier, BalancedCenterSmoothing | ExactBalancedCenterSmoothing):
        raise SettingError(f"certifier: expected balanced or exact_balanced, got {settings.certifier.name}")
    eps = input_radii(settings.eps)
    images, words = calibration_images(dataset, settings)
    model, tensors = certifier.f.f, certifier.f.tensors()

    def procedures() -> Iterator[Procedure[Values]]:
        for number, image in images:
            x = input_of(model, placed(image.to(device), tensors)[None])[0]
            yield certifier.calibrating(x, OWN_STREAMS + number, SHARES, eps)

    needed = np.stack([found for found, _ in certifier.engine.run_all(procedures())])
    shape = certifier.f(input_of(model, placed(images[0][1].to(device), tensors)[None])).shape[1:]
    largest = certifier.metric.largest_distance(shape)
    found = chosen(needed, eps, certifier.metric.gamma, str(certifier.noise), words, largest)
    own_examples = [] if isinstance(dataset, LabelledDataset) else [number for number, _ in images]
    return replace(found, examples=own_examples)


def chosen(
    needed: Values, eps: Sequence[float], gamma: float, noise: str, images: str, largest: float = inf
) -> Calibration:
    """The calibration that the images give.

    Args:
        needed: (images, SHARES, 1 + eps): what `BalancedCenterSmoothing.calibrating` returns for each image.
        eps: input radii.
        gamma: of the metric.
        noise: the noise, in words.
        images: which images, in words.
        largest: the largest distance of two outputs; an output radius of that size says nothing.

    Raises:
        SettingError: no q gives an output radius below `largest` for any eps, or all outputs are equal.
    """
    count = len(needed)
    rho = np.sort(needed[:, :, 0], axis=0)[ceil((1 - ABSTENTION) * count) - 1]  # (shares,)
    r_hat = np.where(needed[:, :, :1] <= rho[:, None], needed[:, :, 1:], inf)  # an abstention counts as infinite
    out = gamma * (np.sort(r_hat, axis=0)[(count - 1) // 2] + rho[:, None])  # (shares, eps)
    out[~(out < largest)] = inf
    best = out.min(axis=0)
    if not np.isfinite(best).any():
        raise SettingError("eps: no q certifies any eps with these samples; take more (certifier.m) or a smaller eps")
    wanted = np.isfinite(best)
    row = int(np.argmin((out[:, wanted] / np.where(best > 0, best, 1.0)[wanted]).max(axis=1)))
    if not 0 < rho[row] < inf:
        raise SettingError(f"certifier.rho: expected a positive radius, found {rho[row]:g}; all outputs are equal")
    by_q = {q: [float(rho[k]), *map(float, out[k])] for k, q in enumerate(SHARES)}
    return Calibration(noise, SHARES[row], float(rho[row]), list(eps), list(map(float, out[row])), images, [], by_q)


def calibration_images(dataset: Dataset, settings: Settings) -> tuple[list[tuple[int, Tensor]], str]:
    """The images with their numbers, and which they are in words.

    Training images, evenly spaced; the last examples of a data set that has none. A run refuses to certify these.
    """
    count = settings.limit or IMAGES
    if isinstance(dataset, LabelledDataset):
        training = dataset.training()
        positions = np.linspace(0, len(training) - 1, min(count, len(training))).astype(np.int64)
        key = np.random.SeedSequence(settings.seed)
        chunks = [positions[k : k + 1] for k in range(len(positions))]
        pixels = [batch[0] for batch, _ in training.batches(chunks, torch.device("cpu"), key, 0)]
        images = [image.to(torch.float32) / (dataset.levels or 1) for image in pixels]
        return list(zip(positions.tolist(), images, strict=True)), f"{len(images)} training images"
    others = indices_of(dataset)[-count:]
    images = [as_tensor(dataset[index]) for index in others]
    return list(zip(others, images, strict=True)), f"the last {len(others)} examples, from {others[0]} on"


def require_other_examples(settings: Settings, indices: Sequence[int]) -> None:
    """Raises SettingError if q and rho were found on an example that is to be certified."""
    for entry in (settings.certifier.get("calibration") or {}).values():
        if used := sorted(set(entry.get("examples") or []) & set(indices)):
            raise SettingError(
                f"calibration: q and rho were found on example {used[0]}, so they must not be used to certify it; "
                f"certify others (limit, indices)"
            )


def _without_calibration(settings: Settings) -> dict[str, Any]:
    return {"calibration": None} if "calibration" in settings.certifier.arguments else {}
