"""Find q and rho of balanced center smoothing on the stored draws of a run, without sampling.

The last examples of the run are used, so certificates of the others may be read with these q and rho. The m distances
serve for the check and for R_hat, as in `smoothing.rechecked`.
"""

from dataclasses import replace

import numpy as np

from experiments.certifying.calibrating import SHARES, Calibration, chosen
from experiments.config.settings import Settings
from experiments.machine.words import counted
from experiments.runs.reader import StoredRun
from experiments.training.base_function import new_noise
from smoothing import BalancedSettings, CenterDraws, Noise, SettingError
from smoothing.balanced_guarantee import needed_inside
from smoothing.statistics import exact_order_statistic

RATIOS = (1.0, 1.5, 2.0, 3.0)  # eps / sigma that q is chosen for


def calibrate_on_draws(run: StoredRun, settings: Settings, count: int) -> Calibration:
    """The calibration that the last `count` examples of a run give.

    Args:
        run: a run of center smoothing with draws.
        settings: the run's settings.
        count: number of examples; at least one other must be left.

    Raises:
        SettingError: the run has no draws, or too few examples; or no q can be certified.
    """
    if not 0 < count < len(run.draws):
        raise SettingError(
            f"{run.folder}: has draws of {counted(len(run.draws), 'example')}; calibrate on fewer, got {count}"
        )
    noise = new_noise(settings, settings.dataset.build())
    assert noise is not None  # as for all runs of center smoothing
    assert settings.noise is not None
    assert settings.metric is not None
    examples = sorted(int(index) for index in run.draws)[-count:]
    eps = [ratio * float(settings.noise.get("sigma")) for ratio in RATIOS]
    own = BalancedSettings(0.5, 1.0, settings.certifier.get("alpha1"), settings.certifier.get("alpha2"))
    needed = np.stack([needed_by(run.draws[index], eps, noise, own) for index in examples])
    words = f"the stored draws of {counted(count, 'example')}, {', '.join(map(str, examples))}"
    metric = settings.metric.build()
    largest = metric.largest_distance(run.draws[examples[0]].center.shape)
    return replace(chosen(needed, eps, metric.gamma, str(noise), words, largest), examples=examples)


def needed_by(draws: CenterDraws, eps: list[float], noise: Noise, settings: BalancedSettings) -> np.ndarray:
    """What each q needs, as `BalancedCenterSmoothing.calibrating`: (SHARES, 1 + eps). All infinite if it abstained."""
    distances, m = draws.distances, len(draws.distances)
    needed = np.full((len(SHARES), 1 + len(eps)), np.inf)
    if not m:
        return needed
    for row, q in enumerate(SHARES):
        each = replace(settings, q=q)
        ranks = [needed_inside(m, each)]
        ranks += [exact_order_statistic(noise.mass(each.rest, r), m, each.alpha2) or m + 1 for r in eps]
        needed[row] = [distances[k - 1] if k <= m else np.inf for k in ranks]
    return needed
