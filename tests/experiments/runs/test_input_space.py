"""Norm and units of radii, for axis titles: from run.json, or for earlier runs from the classes that it names."""

import pytest

from experiments.data import Digits, Latents
from experiments.runs.input_space import InputSpace, input_space
from models import Reconstructor
from smoothing import BandAblation, Gaussian, Splitting

IDENTITY = {"noise": {"type": "Gaussian", "sigma": 0.5}, "dataset": {"type": "Digits"}, "model": {"type": "SmallCNN"}}
CLASSES = {"noise": {"_target_": "smoothing.noise.Gaussian"}, "dataset": {"_target_": "experiments.data.Digits"}}


def test_what_the_run_recorded_counts():
    """Even if no class can be imported, such as a user's own."""
    own = {"noise": {"_target_": "my_noises.Laplace"}, "dataset": {"_target_": "my_data.Table"}}
    record = {"identity": {"noise": {"type": "my_noises.Laplace"}}, "config": own}
    assert input_space(record | {"input": {"norm": "l1", "units": "cm"}}) == InputSpace("l1", "cm")
    assert input_space(record) == InputSpace()


@pytest.mark.parametrize("config", [CLASSES, {}])
def test_earlier_runs_say_it_by_their_classes(config):
    found = input_space({"identity": IDENTITY, "config": config})
    assert found == InputSpace("l2", "pixels in [0, 1]" if config else "")


def test_measurements_are_not_pixels():
    assert InputSpace.of(Gaussian(0.5), Digits, Reconstructor).units == "measurements"
    assert InputSpace.of(Gaussian(0.5), Latents, None).units == "latents"
    assert InputSpace.of(None, object(), None).record() == {}


def test_a_noise_may_state_the_units_of_its_radii():
    noise = BandAblation(3, (1, 8, 8))
    assert InputSpace.of(noise, Digits, None) == InputSpace("patch", "side in pixels")
    assert InputSpace.of(Splitting(0.5, 16), Digits, None) == InputSpace("l1", "pixels in [0, 1]")
    earlier = {"input": {"norm": "l0", "units": "pixels in [0, 1]"}, "identity": {"noise": {"type": "Ablation"}}}
    assert input_space(earlier) == InputSpace("l0", "pixels")
