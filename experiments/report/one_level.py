"""A figure of runs at several noise levels that shows one of them."""

from typing import Any

from experiments.report.figure import Figure
from experiments.report.left_out import ONE_LEVEL, not_in
from experiments.runs.reader import StoredRun, apart_from_noise, sigma_of


class OneLevel(Figure):
    """Base class of such a figure.

    Args:
        experiments: see `Figure`.
        sigma: noise level of the run to draw; the nearest one is taken.
    """

    def __init__(self, experiments: list[str], sigma: float) -> None:
        super().__init__(experiments)
        self.sigma = sigma

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return apart_from_noise(run)

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in([self.nearest(runs)], runs, ONE_LEVEL)

    def nearest(self, runs: list[StoredRun]) -> StoredRun:
        """The run whose sigma is the nearest to that of the figure."""
        return min(runs, key=lambda run: abs(sigma_of(run) - self.sigma))
