"""The published numbers of LeNet on MNIST: `python -m experiments.papers.training.published <clone> <clone>`.

It writes expected.csv from the certification logs of 10,000 test images in the folders data/certify/mnist of
jh-jeong/smoothing-consistency and jh-jeong/smoothmix. For each method there are several seeds of training.

The tolerance of a number is the 95 % prediction interval of one more training: t s sqrt(1 + 1 / seeds). s is the spread
over seeds, pooled over the methods at the same noise, because five seeds of one method say little of it. It depends on
the published logs alone. A share that is not above its tolerance is left out: a run that certifies nothing would agree.
The numbers are given for all test images and for every 20th, so that a run is compared on its own images.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

from experiments.papers.training.results import ACR, ALL, ALPHA, EVERY, EXPECTED, N
from smoothing.radii import largest_radius

LOGS = Path("data/certify/mnist")
SIGMAS = (0.25, 0.5, 1.0)
CONSISTENCY, MACER = {0.25: "10.0", 0.5: "5.0", 1.0: "5.0"}, {0.25: "16.0", 0.5: "16.0", 1.0: "6.0"}
STEPS = {0.25: 2, 0.5: 4, 1.0: 8}  # of SmoothMix
METHODS = {  # the folder of a method's logs, a regular expression of the seeds' files
    "Gaussian": lambda sigma: rf"cohen/noise_{sigma:.2f}_\d+",
    "stability": lambda sigma: rf"stab/lbd_2/noise_{sigma}_\d+",
    "consistency": lambda sigma: rf"consistency/cohen/num_2/lbd_{CONSISTENCY[sigma]}/eta_0.5/noise_{sigma:.2f}_\d+",
    "MACER": lambda sigma: rf"macer_deferred30/num_16/lbd_{MACER[sigma]}/gamma_8.0/beta_16.0/noise_{sigma:.2f}_\d+",
    "SmoothAdv": lambda sigma: rf"salman/pgd_255.0_10_10/num_4/noise_{sigma:.2f}_\d+",
    "SmoothMix": lambda sigma: rf"smoothmix/smix_1.0_{STEPS[sigma]}_m0/tau_5.0/num_4/\d+/noise_{sigma}",
}
STEP = 0.25
REASON = "95 % prediction interval of one more training, from the spread over the published seeds"
SIDE = 0.025  # outside a 95 % interval, on each side
KEYS = ["sigma", "images", "quantity"]


@dataclass(frozen=True)
class Log:
    """One training: its method, noise and rows."""

    method: str
    sigma: float
    rows: pd.DataFrame

    def numbers(self) -> Iterator[dict[str, object]]:
        """ACR, and the certified accuracy at radii up to the largest that n samples certify, on both sets of images."""
        for images, rows in ((ALL, self.rows), (EVERY, self.rows[self.rows["idx"] % 20 == 0])):
            radius = rows["radius"].where(rows["correct"] == 1, -1.0)
            of = {ACR: radius.clip(lower=0).mean()}
            for r in np.arange(0, largest_radius(self.sigma, N, ALPHA), STEP):
                of[f"{r:g}"] = (radius >= r).mean()
            for quantity, value in of.items():
                case = {"method": self.method, "sigma": self.sigma, "images": images, "quantity": quantity}
                yield case | {"value": value}


def logs(clones: list[Path]) -> list[Log]:
    """All logs of `METHODS`. A file that several clones contain is read once."""
    found = {}
    for path in sorted(path for clone in clones for path in (clone / LOGS).rglob("noise_*") if path.is_file()):
        name = path.as_posix().partition(f"{LOGS.as_posix()}/")[2]
        for method, pattern in METHODS.items():
            for sigma in SIGMAS:
                if re.fullmatch(pattern(sigma), name):
                    found[name] = Log(method, sigma, pd.read_csv(path, sep="\t"))
    return list(found.values())


def expected(all_logs: list[Log]) -> pd.DataFrame:
    """The rows of expected.csv: method, sigma, images, quantity, paper, tolerance, seeds, kind, reason."""
    numbers = pd.DataFrame([number for log in all_logs for number in log.numbers()])
    each = numbers.groupby(["method", *KEYS], sort=False)["value"]
    table = each.agg(paper="mean", seeds="size").reset_index()
    squares = (numbers["value"] - each.transform("mean")) ** 2
    pooled = squares.groupby([numbers[key] for key in KEYS]).sum()
    freedom = (table["seeds"] - 1).groupby([table[key] for key in KEYS]).sum()
    spread = np.sqrt(pooled / freedom) * t.isf(SIDE, freedom)
    table["tolerance"] = [spread[row.sigma, row.images, row.quantity] for row in table.itertuples()]
    table["tolerance"] *= np.sqrt(1 + 1 / table["seeds"])
    return (
        table[table["paper"] > table["tolerance"]]
        .assign(kind="number", reason=REASON)
        .round({"paper": 5, "tolerance": 5})
    )


if __name__ == "__main__":
    expected(logs([Path(given) for given in sys.argv[1:]])).to_csv(EXPECTED, index=False)
