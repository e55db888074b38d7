"""Balanced center smoothing's certificates from the stored draws of center smoothing, with a calibrated q and rho."""

from typing import Any

import numpy as np
import pandas as pd
import yaml

from experiments.config.command_line import CONF
from experiments.config.settings import Group
from experiments.papers.kumar2021.medians import medians_of_certificates, read_again
from experiments.runs.reader import StoredRun, experiment_of, sigma_of
from smoothing import BalancedSettings, CenterDraws, CenterSettings, Gaussian, Metric, balanced_certificate
from smoothing import rechecked as checked_with

CALIBRATIONS = CONF / "calibration"


class CalibratedDraws:
    """The draws of a run of center smoothing, and the certificates that they give.

    If the run's noise has a calibration, its examples are left out. `q` is the calibrated one; None without a
    calibration.
    """

    def __init__(self, run: StoredRun) -> None:
        self.run, self.own, self.entry = run, run.identity["certifier"], calibration_of(run)
        self.noise = Gaussian(sigma_of(run), run.identity.get("grid"))
        self.metric: Metric = Group.from_dict(run.record["config"]["metric"]).build()
        self.q: float | None = self.entry.get("q")
        used = set(self.entry.get("examples") or [])
        self.index = [index for index in run.draws if index not in used]
        self.draws = [run.draws[index] for index in self.index]

    def medians(self, eps: float, bound: str) -> dict[str, float]:
        """Medians of center smoothing's certificates."""
        settings = CenterSettings(bound, self.own["delta"], self.own["alpha1"], self.own["alpha2"])
        return read_again(self.run, self.draws, eps, self.noise, self.metric, settings)

    def balanced(self, eps: float, settings: BalancedSettings, *, each: bool = False) -> dict[str, Any]:
        """Medians of balanced center smoothing's certificates, and with `each` the numbers of each example."""
        given = [balanced_certificate(d, eps, self.noise, self.metric, settings) for d in self.checked(settings)]
        return medians_of_certificates(given, self.index if each else None)

    def settings(self, q: float | None) -> BalancedSettings | None:
        """What balanced center smoothing claims with this q and its rho. None if the calibration has no such rho."""
        if q is None or not self.entry:
            return None
        found = {row["q"]: row["rho"] for row in self.entry.get("by_q") or []} | {self.q: self.entry["rho"]}
        if not found.get(q, np.inf) < np.inf:
            return None
        return BalancedSettings(q, found[q], self.own["alpha1"], self.own["alpha2"])

    def checked(self, settings: BalancedSettings) -> list[CenterDraws]:
        return [checked_with(draws, settings.rho) for draws in self.draws]


def balanced_medians_of(run: StoredRun) -> pd.DataFrame:
    """`medians_of` a run of center smoothing whose draws are read again as balanced. Empty if that is not possible."""
    if not calibration_of(run) or not run.draws:
        return pd.DataFrame()
    draws = CalibratedDraws(run)
    settings = draws.settings(draws.q)
    if settings is None or not draws.draws:
        return pd.DataFrame()
    radii = sorted(float(eps) for eps in run.table["eps_in"].unique())
    at = [{"sigma": sigma_of(run), "h": round(eps / sigma_of(run), 6), "eps_in": eps} for eps in radii]
    return pd.DataFrame([point | draws.balanced(point["eps_in"], settings, each=True) for point in at])


def calibration_of(run: StoredRun) -> dict[str, Any]:
    """The calibration of the run's noise, also one for another grid. Empty if there is none.

    q and rho may come from anywhere but the certified examples, so that a certificate holds with those of another grid.
    """
    path = CALIBRATIONS / f"{experiment_of(run)}.yaml"
    if run.identity["noise"]["type"] != "Gaussian" or not path.exists():
        return {}
    entries = (yaml.safe_load(path.read_text()) or {}).get("calibration") or {}
    own = str(Gaussian(sigma_of(run), run.identity.get("grid")))
    alike = [own, *(name for name in entries if without_grid(name) == without_grid(own))]
    found: dict[str, Any] = next((entries[name] for name in alike if name in entries), {})
    return found


def without_grid(noise: str) -> str:
    """The text of a noise up to its grid, to compare with a calibration of another grid or of none."""
    return noise.partition(", grid=")[0].rstrip(")")
