"""Where does f_hat surely answer? Run `python -m experiments.benchmarks.answers`: 4 minutes on a CPU core.

Balanced center smoothing with alpha3, of the autoencoder and the test images of `abstentions`. q and rho come from the
same training images, and rho also 1.5 and 2 times as large. q = 1/2 is tried with the same rho. No attack is needed: it
is a certificate that no x' within eps = h sigma makes f_hat abstain. Writes results/answers/answers.csv, with one row
for each image and h, and record.json.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from experiments.benchmarks import attacked_models as models
from experiments.benchmarks.abstentions import EXAMPLES, FACTORS, SEED, SIGMA, certifiers
from experiments.machine.files import write_atomically
from experiments.runs.provenance import provenance
from smoothing import BalancedCenterSmoothing

RATIOS = (0.5, 1.0, 2.0)
SAMPLES = {"n": 4000, "m": 2000, "alpha1": 0.005, "alpha2": 0.005, "batch_size": 1000, "seed": SEED}
ANSWERS = {"candidates": 1000, "alpha3": 0.005, "center": "medoid"}
FOLDER = Path("results") / "answers"


@dataclass(frozen=True)
class Row:
    """One image and one input radius.

    Attributes:
        q: mass of the ball.
        factor: rho as a multiple of the calibrated one.
        index: number of the test image.
        h: eps / sigma.
        status: of the certificate, see `OutputCertificate`.
        eps_out: certified output radius; +inf without a certificate.
        answers: whether f_hat surely answers at each x' within eps.
        answers_within: the largest h at which it does; negative if there is none.
    """

    q: float
    factor: float
    index: int
    h: float
    status: str
    eps_out: float
    answers: bool | None
    answers_within: float


def rows_of(factor: float, f_hat: BalancedCenterSmoothing, images: Tensor) -> Iterator[Row]:
    """The rows of all images, (examples, *input shape)."""
    for index, x in enumerate(images):
        draws = f_hat.draw(x, index)
        within = f_hat.answers_within(draws) / SIGMA
        for ratio in RATIOS:
            found = f_hat.read(draws, ratio * SIGMA)
            q = f_hat.settings.q
            yield Row(q, factor, index, ratio, found.status, found.eps_out, found.answers, within)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """For each q, factor and h: shares that abstain at x and that surely answer, and the median eps_out."""
    table = table.assign(abstained=table["status"] == "abstained", answers=table["answers"].astype(bool))
    groups = table.groupby(["q", "factor", "h"], sort=False)
    return groups[["abstained", "answers", "eps_out"]].agg(
        {"abstained": "mean", "answers": "mean", "eps_out": "median"}
    )


def main() -> None:
    """Certify, write the rows and their record, and print a summary."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    ours, images = certifiers()["balanced"], models.images()[:EXAMPLES]
    assert isinstance(ours, BalancedCenterSmoothing)
    rows = [
        asdict(row)
        for q in (ours.settings.q, 0.5)
        for factor in FACTORS
        for row in rows_of(
            factor,
            BalancedCenterSmoothing(
                ours.f.f,
                ours.noise,
                ours.metric,
                q=q,
                rho=factor * ours.settings.rho,
                **SAMPLES,  # type: ignore[arg-type]
                **ANSWERS,  # type: ignore[arg-type]
            ),
            images,
        )
    ]
    record = {
        "settings": {"sigma": SIGMA, **SAMPLES, **ANSWERS, "q": ours.settings.q, "rho": ours.settings.rho},
        "started": started,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": f"cpu, {torch.get_num_threads()} threads",
        **provenance(),
    }
    table = pd.DataFrame(rows)
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_atomically(FOLDER / "answers.csv", table.to_csv(index=False).encode())
    write_atomically(FOLDER / "record.json", (json.dumps(record, indent=2) + "\n").encode())
    print(summary(table).to_string(float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
