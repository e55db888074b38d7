"""Attacks on the certificates of a smoothed autoencoder: gradient ascent on how far its output moves."""

import pytest

from experiments.benchmarks import attacked_models
from experiments.benchmarks.attacks_on_centers import attack_center, attack_exact_center
from smoothing import L2, CenterSmoothing, DeterministicSplitting, ExactCenterSmoothing, Gaussian

pytestmark = pytest.mark.long

IMAGES = attacked_models.images()
SIGMA, EPS = 0.2, 0.3
ATTACKED = 50


@pytest.fixture(scope="module")
def autoencoder():
    return attacked_models.autoencoder(Gaussian(SIGMA), seed=0)


def test_no_l2_attack_moves_the_center_out_of_its_certified_ball(autoencoder):
    settings = {"n": 1000, "delta": 0.15, "alpha1": 0.001, "alpha2": 0.001, "batch_size": 300}
    h = CenterSmoothing(autoencoder, Gaussian(SIGMA), L2(), m=500, **settings)
    attempts = [attempt for i in range(ATTACKED) for attempt in attack_center(h, IMAGES[i], i, EPS)]
    farthest = [attempt for attempt in attempts if attempt.factor > 0.9]
    assert len(farthest) >= ATTACKED * 0.9
    assert all(attempt.distance <= EPS for attempt in attempts)
    assert not any(attempt.violated for attempt in attempts)
    assert max(attempt.moved for attempt in farthest) > 0.2  # the attack does something


def test_no_l1_attack_breaks_a_deterministic_certificate(autoencoder):
    h = ExactCenterSmoothing(autoencoder, DeterministicSplitting(0.5, 16, (1, 8, 8)), L2(), batch_size=1000)
    attempts = [attempt for i in range(10) for attempt in attack_exact_center(h, IMAGES[i], i)]
    assert len(attempts) >= 100
    assert not any(attempt.violated for attempt in attempts)
    assert max(attempt.moved for attempt in attempts) > 0.2
