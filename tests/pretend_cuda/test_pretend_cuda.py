"""The library on two pretended CUDA devices: no tensor on the wrong device, no race between streams, few host syncs.

The scripts of this folder patch torch, so they run in processes of their own. See `device` and `checker`.
"""

import inspect
import json
from collections import Counter
from pathlib import Path

import pytest

import smoothing
from smoothing.certifier import Certifier

pytestmark = pytest.mark.long

EXPORTED = [getattr(smoothing, name) for name in smoothing.__all__]
CERTIFIERS = [
    each.__name__
    for each in EXPORTED
    if inspect.isclass(each) and issubclass(each, Certifier) and not inspect.isabstract(each)
]

ON_THE_GRID = {"noise/l1.py: require_grid": 2}  # whether an image has the noise's levels, for each request
COUNTS = {"smoothed_classifier.py: total": 2}  # the counts of the selection and of the estimation
CENTER = {
    "medoid.py: best_center": 5,  # which outputs are finite, the best radius before each step, and the center's
    "medoid.py: _most_promising": 2,  # which points may still be the center
    "metrics/halves.py: nearest_half_means": 1,  # which outputs are finite
    "metrics/screens.py: _scale_and_mean": 1,  # the largest number
    "sampled_center.py: SampledCenter.smoothing": 1,  # the count of the fresh check
    "sampled_center.py: SampledCenter.drawing": 4,  # the distances, the center, f(x) and its distance
}
# Two for each call with two batches of outputs: in the search for the center, and in 5 batches, or in 10 and for f(x).
HAMMING = {
    "metrics/hamming.py: Hamming.candidates": 1,  # which outputs are finite
    "metrics/hamming.py: Hamming._all_distances.<locals>.<genexpr>": 12,  # a faster count for masks
}
MASKS = {
    "metrics/mask_jaccard.py: MaskJaccard.candidates": 1,  # which outputs are finite
    "metrics/mask_jaccard.py: _sets": 25,  # whether outputs are masks, also of the first ones again
}
POINTS = {
    "metrics/finite.py: FiniteSpace._points": 25,  # whether outputs are points, also of the first ones again
    "metrics/checks.py: _distinct": 2,  # whether there are new ones
}
MOST_FOR_AN_IMAGE = {  # host syncs, by their place
    "Certify Ablation(keep=40 of 64)": COUNTS,
    "Certify BandAblation(size=5, L=8)": COUNTS,
    "Certify BlockAblation(size=6, L=64)": COUNTS,
    "Certify Gaussian(sigma=0.5)": COUNTS,
    "Certify Gaussian(sigma=0.5, grid=16)": COUNTS | {"noise/grid.py: GridSteps.whole": 2},  # a faster sum on the grid
    "Certify Uniform(sigma=0.5)": COUNTS,
    "Certify Uniform(sigma=0.5, grid=16)": COUNTS,
    "Certify Splitting(sigma=0.5, levels=16)": COUNTS | ON_THE_GRID,
    "Certify DeterministicSplitting(sigma=1.0, levels=16, L=55, seed=0)": COUNTS | ON_THE_GRID,
    "certify_all, on the device": COUNTS | {"inputs.py: as_tensor": 1, "inputs.py: pixels_warning": 2},  # their checks
    "certify_all, on the CPU": COUNTS | {"inputs.py: placed": 1},  # the copy
    "CenterSmoothing L2": CENTER,
    "CenterSmoothing TotalVariation": CENTER | {"metrics/screens.py: Manhattan.__init__": 1},  # how many coordinates
    "CenterSmoothing Hamming": CENTER | HAMMING,
    "CenterSmoothing MaskJaccard": CENTER | MASKS,
    "CenterSmoothing FiniteSpace": CENTER | POINTS,
}


@pytest.fixture
def lines(python):
    """lines("matrix.py", "Certify") is what the script prints, read as JSON."""

    def run(script, *arguments):
        process = python(Path(__file__).parent / script, *arguments)
        assert process.returncode == 0, process.stderr
        return [json.loads(line) for line in process.stdout.splitlines()]

    return run


@pytest.mark.parametrize("name", [*CERTIFIERS, "special"])
def test_every_certifier_noise_and_metric(lines, name):
    """A certifier, noise or metric that is new needs a case in `cases`."""
    found = lines("matrix.py", name)
    assert found
    assert name == "special" or all(line["kernels_beside"] for line in found)  # the noise has a stream of its own
    assert [line for line in found if line["error"] or line["races"] or line["differs"]] == []


@pytest.mark.gpu
@pytest.mark.parametrize("name", [*CERTIFIERS, "special"])
def test_on_a_real_gpu_the_same_numbers_each_time(lines, name):
    found = lines("on_a_gpu.py", name)
    assert found
    assert [line for line in found if line["error"] or line["differs"]] == []


def test_planted_faults_are_found(lines):
    found = dict(lines("faults.py"))
    harmless = {"no fault", "read, then read", "cuda and cuda:0", "copied"}
    harmless |= {"freed, recorded", "freed, waited for", "freed, read by the host"}
    for name, seen in found.items():
        assert bool(seen) == (name not in harmless and not name.endswith("after a wait")), name
    assert len(found) == 25


def test_seconds_are_the_device_s(lines):
    """Each example has two batches for 90 rows, and a fifth of one for 10. What the caller does between is no lap."""
    host, *gpus = lines("clocks.py")
    assert min(host["seconds"]) > 0
    for found in gpus:
        assert found["seconds"] == pytest.approx([2.2] * 5)


def test_the_host_seldom_waits_for_the_device(lines):
    """One sync more in each batch or request would let the device run dry. Outputs are checked every 8 batches."""
    found = lines("syncs.py")
    assert [line["case"] for line in found] == list(MOST_FOR_AN_IMAGE)
    for line in found:
        syncs = Counter()
        for what, count in line["syncs"].items():
            syncs[what.partition(" in ")[2]] += count
        assert syncs.pop("probe.py: Probe._require") <= line["batches"] / 8
        assert syncs.pop("metrics/checks.py: _gap", 0) <= 3  # in calls number 2, 4, 8, ... of a metric
        most = {place: count * line["images"] for place, count in MOST_FOR_AN_IMAGE[line["case"]].items()}
        assert not syncs - Counter(most), line["case"]
