"""Try to break every certifier: `python -m experiments.benchmarks.tightness`. Its run.json records how long it took.

Writes results/tightness/tightness.csv, with one row per attacked point, and run.json. `python plot.py figure=tightness`
draws them. With names of certifiers, such as `median mean`, it attacks these again and keeps the other rows. LPIPS is
not attacked, because it needs a network of its own.
"""

import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from experiments.benchmarks import attacked_models as models
from experiments.benchmarks.attacks_on_centers import attack_center, attack_exact_center
from experiments.benchmarks.attacks_on_classifiers import LEVEL, attack_exactly, attack_l1, attack_l2
from experiments.benchmarks.attacks_on_intervals import attack_exact_interval, attack_interval, attack_segments
from experiments.benchmarks.attempts import Attempt
from experiments.data.digits import Digits
from experiments.machine.files import write_atomically
from experiments.papers.ours.tightness import FOLDER, RECORD, TABLE, summary
from experiments.runs.run_folder import provenance
from smoothing import (
    L2,
    Adaptive,
    Angular,
    BalancedCenterSmoothing,
    CenterSmoothing,
    CenterSmoothingHD,
    Certify,
    DeterministicSplitting,
    ExactBalancedCenterSmoothing,
    ExactCenterSmoothing,
    ExactCertify,
    ExactMedianSmoothing,
    Gaussian,
    Jaccard,
    MeanSmoothing,
    MedianSmoothing,
    SegmentSmoothing,
    Splitting,
    TotalVariation,
    Uniform,
)

SEED = 0
Q = 0.75  # of balanced center smoothing
CLASSIFY = {"n0": 100, "n": 10_000, "alpha": 0.001, "batch_size": 1000}
CENTER = {"n": 1000, "m": 1000, "delta": 0.1, "alpha1": 0.001, "alpha2": 0.001, "batch_size": 1000}
INTERVALS = {"n": 10_000, "batch_size": 1000}
BY_HAND = {**CENTER, "n": 2000, "m": 2000, "delta": 0.08}
FINE = 255  # levels of the noise for functions of one number
FINE_SIGMA = 0.2888  # gives 255 noisy inputs
IMAGE = (1, 8, 8)


Attack = Callable[[Tensor, int], list[Attempt]]


@dataclass(frozen=True)
class Case:
    """A certifier under a noise, with a model to attack.

    Attributes:
        certifier: its name in conf/certifier.
        noise: its name in conf/noise.
        metric: the output metric's name in conf/metric, "class" for classes, or "number" for an interval.
        model: the attacked model, in a word or two.
        inputs: inputs to certify, (examples, *input shape).
        attack: maps an input and its number to the attempts on its certificate. No attempts without a certificate.
    """

    certifier: str
    noise: str
    metric: str
    model: str
    inputs: Tensor
    attack: Attack


def on_classifiers(seed: int) -> Iterator[Case]:
    """Classifiers against l2, against l1 by sampling, and against l1 on the grid by counting."""
    images, levels = models.images(), Digits.levels
    gaussian, uniform, ssn = Gaussian(0.5, levels), Uniform(0.5, levels), Splitting(0.5, levels)
    half_space = models.half_space(*models.between_two_digits())
    for f, model, inputs in (
        (models.classifier(gaussian, seed), "CNN", images[:20]),
        (half_space, "half-space", images[:30]),
    ):
        certify = Certify(f, gaussian, seed=seed, **CLASSIFY)  # type: ignore[arg-type]
        yield Case("certify", "gaussian", "class", model, inputs, partial(attack_l2, certify))
        adaptive = Adaptive(f, gaussian, mode="radius", tolerance=0.02, seed=seed, **CLASSIFY)  # type: ignore[arg-type]
        yield Case("adaptive", "gaussian", "class", model, inputs, partial(attack_l2, adaptive))
    for noise, name, grid in ((uniform, "uniform", None), (ssn, "ssn", levels)):
        for f, model, reach in ((models.classifier(noise, seed), "CNN", 4.0), (models.one_pixel, "one pixel", 1.5)):
            certify = Certify(f, noise, seed=seed, **CLASSIFY)  # type: ignore[arg-type]
            attack = partial(attack_l1, certify, reach=reach, grid=grid)
            yield Case("certify", name, "class", model, images[:15], attack)
    dssn, fine = DeterministicSplitting(0.5, levels, IMAGE, seed), DeterministicSplitting(FINE_SIGMA, FINE, (1,))
    exact = ExactCertify(models.classifier(dssn, seed), dssn, batch_size=1000)
    yield Case("exact", "dssn", "class", "CNN", images[:40], partial(attack_exactly, exact))
    exact = ExactCertify(models.one_pixel, fine, batch_size=1000)
    starts = torch.arange(0, 120, 12)[:, None] / FINE
    yield Case("exact", "dssn", "class", "one pixel", starts, partial(attack_exactly, exact))


def on_centers(seed: int) -> Iterator[Case]:
    """Center smoothing against l2, for each metric and by Smooth-HD, and against l1 on the grid."""
    images, noise = models.images(), Gaussian(0.2)
    autoencoder, boxes = models.autoencoder(noise, seed), models.Boxes(seed)
    for f, model, metric, name in (
        (autoencoder, "autoencoder", L2(), "l2"),
        (autoencoder, "autoencoder", TotalVariation(), "tvd"),
        (autoencoder, "autoencoder", Angular(), "angular"),
        (boxes, "random boxes", Jaccard(), "jaccard"),
    ):
        h = CenterSmoothing(f, noise, metric, seed=seed, **CENTER)  # type: ignore[arg-type]
        yield Case("center", "gaussian", name, model, images[:40], partial(attack_center, h, eps=0.2))
    h = CenterSmoothingHD(autoencoder, noise, L2(), seed=seed, **CENTER)  # type: ignore[arg-type]
    yield Case("center_hd", "gaussian", "l2", "autoencoder", images[:40], partial(attack_center, h, eps=0.2))
    for by_hand, model, starts, eps in (
        (models.two_points, "two points", torch.linspace(-1.6, -0.3, 40), 0.5),
        (models.four_points, "four points", torch.zeros(40), 0.35),
    ):
        h = CenterSmoothing(by_hand, Gaussian(1.0), L2(), seed=seed, **BY_HAND)  # type: ignore[arg-type]
        attack = partial(attack_center, h, eps=eps, direction=torch.ones(1))
        yield Case("center", "gaussian", "l2", model, starts[:, None], attack)
    dssn = DeterministicSplitting(0.5, Digits.levels, IMAGE, seed)
    autoencoder = models.autoencoder(dssn, seed)
    for metric, name in ((L2(), "l2"), (TotalVariation(), "tvd"), (Angular(), "angular")):
        exact = ExactCenterSmoothing(autoencoder, dssn, metric, batch_size=1000)
        yield Case("exact_center", "dssn", name, "autoencoder", images[:15], partial(attack_exact_center, exact))
    fine = DeterministicSplitting(FINE_SIGMA, FINE, (1,))
    exact = ExactCenterSmoothing(models.four_points_under_splitting(FINE), fine, L2(), batch_size=1000)
    yield Case("exact_center", "dssn", "l2", "four points", torch.zeros(1, 1), partial(attack_exact_center, exact))


def on_balanced_centers(seed: int) -> Iterator[Case]:
    """Balanced center smoothing. q and rho come from other images than those that are certified."""
    images, noise = models.images(), Gaussian(0.2)
    autoencoder, boxes = models.autoencoder(noise, seed), models.Boxes(seed)
    balanced = {name: CENTER[name] for name in ("n", "m", "alpha1", "alpha2", "batch_size")}
    for f, model, metric, name in (
        (autoencoder, "autoencoder", L2(), "l2"),
        (autoencoder, "autoencoder", TotalVariation(), "tvd"),
        (autoencoder, "autoencoder", Angular(), "angular"),
        (boxes, "random boxes", Jaccard(), "jaccard"),
    ):
        rho = _rho(CenterSmoothing(f, noise, metric, seed=seed, **CENTER), images[40:50])  # type: ignore[arg-type]
        h = BalancedCenterSmoothing(f, noise, metric, q=Q, rho=rho, seed=seed, **balanced)  # type: ignore[arg-type]
        yield Case("balanced", "gaussian", name, model, images[:40], partial(attack_center, h, eps=0.2))
    by_hand = balanced | {"n": BY_HAND["n"], "m": BY_HAND["m"]}
    h = BalancedCenterSmoothing(models.three_points, Gaussian(1.0), L2(), q=Q, rho=2.0, seed=seed, **by_hand)  # type: ignore[arg-type]
    attack = partial(attack_center, h, eps=0.35, direction=torch.ones(1))
    yield Case("balanced", "gaussian", "l2", "three points", torch.zeros(40, 1), attack)
    dssn = DeterministicSplitting(0.5, Digits.levels, IMAGE, seed)
    autoencoder = models.autoencoder(dssn, seed)
    rho = _rho(ExactCenterSmoothing(autoencoder, dssn, L2(), batch_size=1000), images[40:50])
    exact = ExactBalancedCenterSmoothing(autoencoder, dssn, L2(), q=Q, rho=rho, batch_size=1000)
    attack = partial(attack_exact_center, exact)
    yield Case("exact_balanced", "dssn", "l2", "autoencoder", images[:15], attack)


def on_intervals(seed: int) -> Iterator[Case]:
    """Medians and means of one number against l2, and medians against l1 on the grid."""
    images, noise, wide = models.images(), Gaussian(0.2), Gaussian(1.0)
    pixel, starts = models.pixel_of(models.autoencoder(noise, seed)), torch.linspace(-1, 1, 20)[:, None]
    for f, law, model, inputs, eps, ends in (
        (pixel, noise, "autoencoder", images[:20], 0.2, (0.0, 1.0)),
        (models.identity, wide, "identity", starts, 0.5, (-4.0, 4.0)),
    ):
        median, sure = (
            MedianSmoothing(f, law, alpha=a, seed=seed, **INTERVALS)  # type: ignore[arg-type]
            for a in (0.001, LEVEL)
        )
        yield Case("median", "gaussian", "number", model, inputs, partial(attack_interval, median, sure, eps=eps))
        mean, surely = (
            MeanSmoothing(f, law, low=ends[0], high=ends[1], alpha=a, seed=seed, **INTERVALS)  # type: ignore[arg-type]
            for a in (0.001, LEVEL)
        )
        yield Case("mean", "gaussian", "number", model, inputs, partial(attack_interval, mean, surely, eps=eps))
    dssn, fine = DeterministicSplitting(0.5, Digits.levels, IMAGE, seed), DeterministicSplitting(FINE_SIGMA, FINE, (1,))
    exact = ExactMedianSmoothing(models.pixel_of(models.autoencoder(dssn, seed)), dssn, batch_size=1000)
    yield Case("exact_median", "dssn", "number", "autoencoder", images[:10], partial(attack_exact_interval, exact))
    exact = ExactMedianSmoothing(models.identity, fine, batch_size=1000)
    places = torch.arange(60, 180, 12)[:, None] / FINE
    yield Case("exact_median", "dssn", "number", "identity", places, partial(attack_exact_interval, exact))


def on_segments(seed: int) -> Iterator[Case]:
    """Certified classes of positions against l2."""
    noise = Gaussian(0.2)
    for f, model, inputs, eps in (
        (models.segmenter(noise, seed), "segmenter", models.mosaics()[:10], 0.1),
        (models.dark_pixels, "dark pixels", models.images()[:20], 0.3),
    ):
        segment = SegmentSmoothing(f, noise, seed=seed, n0=100, n=4000, batch_size=1000)
        yield Case("segment", "gaussian", "class", model, inputs, partial(attack_segments, segment, eps=eps))


def _rho(h: CenterSmoothing | ExactCenterSmoothing, images: Tensor) -> float:
    """A radius within which the centers at other images hold the share `Q` of the outputs. 1 if there is no center."""
    drawn = [h.draw(x, example=k).distances for k, x in enumerate(images)]
    return max((float(np.quantile(distances, Q)) for distances in drawn if len(distances)), default=1.0)


def run(
    seed: int, share: float = 1.0, say: Callable[[str], None] = lambda line: None, only: Sequence[str] = ()
) -> pd.DataFrame:
    """All attempts, one row each: number of the certificate, the case, the columns of `Attempt`, seed and seconds.

    Args:
        seed: seed of training, certificates and attacks.
        share: share of each case's inputs to use; at least one input is used.
        say: called with a line of text after each case.
        only: attack these certifiers, by name; all by default.
    """
    rows: list[dict[str, Any]] = []
    certificates = 0
    for case in (
        *on_classifiers(seed),
        *on_centers(seed),
        *on_balanced_centers(seed),
        *on_intervals(seed),
        *on_segments(seed),
    ):
        if only and case.certifier not in only:
            continue
        before, started = len(rows), time.perf_counter()
        names = {"certifier": case.certifier, "noise": case.noise, "metric": case.metric, "model": case.model}
        for example in range(max(1, round(share * len(case.inputs)))):
            began = time.perf_counter()
            attempts = case.attack(case.inputs[example], example)
            seconds = time.perf_counter() - began
            named = {"index": certificates, **names, "example": example}
            rows += [named | asdict(attempt) | {"seed": seed, "seconds": seconds} for attempt in attempts]
            certificates += bool(attempts)
        say(f"{', '.join(names.values())}: {len(rows) - before} attempts, {time.perf_counter() - started:.0f} s")
    return pd.DataFrame(rows)


def main(only: Sequence[str] = ()) -> None:
    """Run the benchmark, write its table and record, and print a summary.

    Args:
        only: attack these certifiers again, and keep the rows of the others; run.json then has an entry in `again`.
    """
    started, folder = _now(), Path("results") / FOLDER
    table = run(SEED, say=partial(print, flush=True), only=only)
    made = {
        "started": started,
        "ended": _now(),
        "device": f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)",
        **provenance(),
    }
    if only:
        record = json.loads((folder / RECORD).read_text())
        record.setdefault("again", []).append({"certifiers": list(only), **made})
        others = pd.read_csv(folder / TABLE).query("certifier not in @only")
        table = pd.concat([others, table.assign(index=table["index"] + 1 + others["index"].max())])
    else:
        settings = {"type": "all of smoothing", **CLASSIFY, **{f"center_{name}": v for name, v in CENTER.items()}}
        identity = {"dataset": {"type": "Digits"}, "certifier": settings, "seed": SEED}
        record = {"identity": identity, "seed": SEED, "config": {"name": "digits"}, **made}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / TABLE, table.to_csv(index=False).encode())
    write_atomically(folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())
    found = summary(table)
    print(found.drop(columns=["level"]).to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print(
        f"{found['attempts'].sum()} attempts on {found['certificates'].sum()} certificates, "
        f"{found['violated'].sum()} of them broken"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    main(sys.argv[1:])
