"""Identity is what results depend on, all of it and nothing else."""

import pytest

from experiments.config.identity import identity, identity_hash


def test_identity_is_what_results_depend_on(settings):
    base = identity_hash(identity(settings(), ""))
    for same in ("batch_size=7", "device=cpu", "results.root=elsewhere", "limit=1", "indices=[4]", "eps=0.3"):
        assert identity_hash(identity(settings(same), "")) == base
    for other in ("seed=1", "noise.sigma=0.2", "certifier.m=800", "certifier.bound=paper", "model.min_face_size=30"):
        assert identity_hash(identity(settings(other), "")) != base
    assert identity_hash(identity(settings("precision=bfloat16"), "")) != base
    assert identity_hash(identity(settings(), "content")) != base


@pytest.mark.parametrize(
    ("experiment", "other"),
    [
        ("demo", "certifier.delta=0.2"),
        ("demo", "certifier.alpha1=0.004"),
        ("demo", "certifier.alpha2=0.004"),
        ("demo", "certifier.n=900"),
        ("demo", "compiled=true"),
        ("digits_gaussian", "certifier.alpha=0.01"),
        ("digits_gaussian", "certifier.n0=10"),
        ("digits_gaussian", "certifier.runner_up=bounded"),
        ("digits_gaussian", "certifier.bound=randomised"),
        ("digits_gaussian certifier=adaptive", "certifier.runner_up=bounded"),
        ("digits_gaussian", "certifier.stop_if_misclassified=true"),
        ("digits_gaussian certifier=adaptive", "certifier.alpha=0.01"),
        ("digits_gaussian", "compiled=true"),
    ],
)
def test_what_is_claimed_and_how_f_is_computed_are_identity(settings, experiment, other):
    one, two = (settings(*f"experiment={experiment}".split(), *more) for more in ((), (other,)))
    assert identity_hash(identity(one, "")) != identity_hash(identity(two, ""))


def test_every_argument_of_a_certifier_is_identity(settings):
    for experiment in ("demo", "digits_gaussian", "digits_gaussian certifier=adaptive", "digits_dssn"):
        plain = settings(*f"experiment={experiment}".split())
        certifier, kept = plain.certifier, identity(plain, "")["certifier"]
        younger = {"center": "best", "runner_up": "complement"}  # as before there was a choice: left out
        if kept["type"] == "Certify":
            younger["bound"] = "exact"
        assert all(certifier.get(name, value) == value for name, value in younger.items())
        assert kept.keys() == certifier.arguments.keys() - {"match", *younger} | {"type"}


def test_identity_does_not_depend_on_how_a_number_is_written(settings):
    assert identity(settings("noise.sigma=1"), "") == identity(settings("noise.sigma=1.0"), "")


def test_the_data_root_is_not_identity(settings):
    one, two = (settings("dataset=folder", f"dataset.root={root}") for root in ("a", "b"))
    assert identity(one, "x") == identity(two, "x")
