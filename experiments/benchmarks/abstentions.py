"""How often does f_hat abstain? Run `python -m experiments.benchmarks.abstentions`.

Center smoothing and balanced center smoothing of one autoencoder of digits, on test images. q and rho come from
training images, and rho also 1.5 and 2 times as large. The attacker, who knows the network, moves x by at most
eps = h sigma: to move the outputs away from the center at x ("move"), or to spread them, so that no ball holds enough
of them ("spread"). Writes results/abstentions/abstentions.csv, with one row for each attacked point, and record.json.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from experiments.benchmarks import attacked_models as models
from experiments.benchmarks.attacks_on_centers import FRESH, farthest_within, moved_by
from experiments.benchmarks.attempts import Objective
from experiments.certifying.calibrating import SHARES, chosen
from experiments.data.digits import Digits
from experiments.machine.files import write_atomically
from experiments.runs.provenance import provenance
from smoothing import BalancedCenterSmoothing, CenterSmoothing, Gaussian, TotalVariation
from smoothing.sampled_center import SampledCenter

SEED, SIGMA, RATIOS, EXAMPLES = 0, 0.2, (1.0, 2.0), 50
SAMPLES = {"n": 2000, "m": 2000, "alpha1": 0.005, "alpha2": 0.005, "batch_size": 1000, "seed": SEED}
FACTORS = (1, 1.5, 2)  # of the calibrated rho
FOLDER = Path("results") / "abstentions"


@dataclass(frozen=True)
class Row:
    """One attacked point x' of one certifier.

    Attributes:
        certifier: its name in conf/certifier.
        index: number of the test image.
        h: eps / sigma.
        aim: what the attack maximised: move or spread.
        at_x: whether f_hat abstained at x.
        there: whether f_hat abstained at x'.
        eps_out: certified output radius at x; +inf without a certificate.
        moved: distance of the two centers; NaN if f_hat abstained at one of them.
        violated: moved is larger than eps_out, although f_hat abstained at neither.
    """

    certifier: str
    index: int
    h: float
    aim: str
    at_x: bool
    there: bool
    eps_out: float
    moved: float
    violated: bool


def spread_of(f: Objective, h: SampledCenter) -> Objective:
    """The distance of each output from the next one."""

    def spread(batch: Tensor) -> Tensor:
        outputs = f(batch)
        return h.metric(outputs, outputs.roll(1, dims=0))

    return spread


def rows_of(name: str, h: SampledCenter, images: Tensor) -> Iterator[Row]:
    """All attacks on the certificates of these images, (examples, *input shape)."""
    for index, x in enumerate(images):
        draws = h.draw(x, index)
        for ratio in RATIOS:
            eps = ratio * SIGMA
            certificate = h.read(draws, eps)
            aims = {"move": moved_by(h.f.f, h.metric, certificate.center), "spread": spread_of(h.f.f, h)}
            for number, (aim, objective) in enumerate(aims.items()):
                point = farthest_within(objective, h.noise, x, eps, index)
                found = h.smooth(point, FRESH * (index + 1) + len(aims) * RATIOS.index(ratio) + number)
                at_x = certificate.status == "abstained"
                moved = float(h.metric(found.center[None], certificate.center[None]))
                moved = float("nan") if at_x or found.abstained else moved
                violated = certificate.status == "certified" and moved > certificate.eps_out
                yield Row(name, index, ratio, aim, at_x, found.abstained, certificate.eps_out, moved, violated)


def certifiers() -> dict[str, SampledCenter]:
    """The certifiers of the same network, balanced center smoothing with q and rho from training images."""
    noise, metric = Gaussian(SIGMA, Digits.levels), TotalVariation()
    f = models.autoencoder(noise, SEED)
    paper = CenterSmoothing(f, noise, metric, delta=0.08, **SAMPLES)  # type: ignore[arg-type]
    unset = BalancedCenterSmoothing(f, noise, metric, q=0.5, rho=1.0, **SAMPLES)  # type: ignore[arg-type]
    training = Digits().training().pixels[:EXAMPLES].float() / Digits.levels
    eps = [ratio * SIGMA for ratio in RATIOS]
    needed = [
        drawn
        for drawn, _ in unset.engine.run_all(
            unset.calibrating(x, 10**9 + k, SHARES, eps) for k, x in enumerate(training)
        )
    ]
    found = chosen(np.stack(needed), eps, metric.gamma, str(noise), f"{EXAMPLES} training images")
    ours = {
        "balanced" if factor == 1 else f"balanced, {factor:g} rho": BalancedCenterSmoothing(
            f,
            noise,
            metric,
            q=found.q,
            rho=factor * found.rho,
            **SAMPLES,  # type: ignore[arg-type]
        )
        for factor in FACTORS
    }
    return {"center": paper, **ours}


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """For each certifier, h and aim: abstention rates at x and x', the median eps_out, and violations."""
    groups = table.groupby(["certifier", "h", "aim"], sort=False)
    return groups.agg(
        at_x=("at_x", "mean"),
        there=("there", "mean"),
        eps_out=("eps_out", "median"),
        moved=("moved", "max"),
        violated=("violated", "sum"),
    ).reset_index()


def main() -> None:
    """Attack both certifiers, write the rows and their record, and print a summary."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    images = models.images()[:EXAMPLES]
    both = certifiers()
    table = pd.DataFrame([asdict(row) for name, h in both.items() for row in rows_of(name, h, images)])
    ours = both["balanced"]
    assert isinstance(ours, BalancedCenterSmoothing)
    record = {
        "settings": {"sigma": SIGMA, **SAMPLES, "q": ours.settings.q, "rho": ours.settings.rho},
        "started": started,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": f"cpu, {torch.get_num_threads()} threads",
        **provenance(),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_atomically(FOLDER / "abstentions.csv", table.to_csv(index=False).encode())
    write_atomically(FOLDER / "record.json", (json.dumps(record, indent=2) + "\n").encode())
    print(summary(table).to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
