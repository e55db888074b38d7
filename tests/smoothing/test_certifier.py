"""The contract of certifiers: columns that their statements fill, costs, and statements read again from rows."""

from dataclasses import fields

import pytest
import torch

from smoothing import (
    L2,
    Adaptive,
    Attack,
    BalancedCenterSmoothing,
    CenterSmoothing,
    CenterSmoothingHD,
    Certifier,
    Certify,
    DeterministicSplitting,
    Evaluation,
    ExactBalancedCenterSmoothing,
    ExactCenterSmoothing,
    ExactCertify,
    Gaussian,
    Predict,
    SettingError,
    SmoothedClassifier,
)
from smoothing.evaluation import EvaluationOptions

OF_THE_RUN = {"index", "label", "predict", "correct", "seconds"}
GAUSSIAN, FINITE = Gaussian(0.5), DeterministicSplitting(0.5, 4, (2,))
CENTER = {"n": 200, "m": 200, "delta": 0.2}
BALANCED = {"n": 400, "m": 200, "q": 0.5, "rho": 1.5, "candidates": 30, "center": "medoid", "alpha3": 0.03}


def scores(x):
    return torch.cat([x, -x], dim=1)


CERTIFIERS = {
    "certify": lambda **o: Certify(scores, GAUSSIAN, n0=10, n=100, **o),
    "predict": lambda **o: Predict(scores, GAUSSIAN, n=100, **o),
    "adaptive": lambda **o: Adaptive(scores, GAUSSIAN, n0=10, n=1000, radius=0.1, **o),
    "attack": lambda **o: Attack(scores, GAUSSIAN, factors=[0.5, 2.0], n0=10, n=100, steps=2, samples=10, **o),
    "exact": lambda **o: ExactCertify(scores, FINITE, **o),
    "center": lambda **o: CenterSmoothing(torch.tanh, GAUSSIAN, L2(), **CENTER, **o),
    "center_hd": lambda **o: CenterSmoothingHD(torch.tanh, GAUSSIAN, L2(), **CENTER, candidates=30, **o),
    "exact_center": lambda **o: ExactCenterSmoothing(torch.tanh, FINITE, L2(), **o),
    "balanced": lambda **o: BalancedCenterSmoothing(torch.tanh, GAUSSIAN, L2(), **BALANCED, **o),
    "exact_balanced": lambda **o: ExactBalancedCenterSmoothing(torch.tanh, FINITE, L2(), q=0.5, rho=1.0, **o),
}
X = torch.tensor([0.75, 0.75])


@pytest.mark.parametrize("name", CERTIFIERS)
def test_statements_fill_the_columns_and_the_samples_are_as_said(name):
    taken = []
    certifier = CERTIFIERS[name](on_samples=taken.append)
    assert isinstance(certifier, Certifier)
    cases = certifier.cases([0.05, 0.1])
    drawn = certifier.engine.run(certifier.procedure(certifier.input(X), 0, 0))
    found = certifier.statements(drawn, cases)
    assert len(found) == max(1, len(cases))
    for statement in found:
        assert set(certifier.columns) - OF_THE_RUN <= {field.name for field in fields(statement)}
    assert set(certifier.shown) <= set(certifier.columns)
    assert certifier.columns[-len(certifier.younger) :] == certifier.younger or not certifier.younger
    if certifier.case:
        assert [getattr(statement, certifier.case) for statement in found] == cases
    assert sum(taken) <= certifier.samples
    row = {name: getattr(found[0], name, 0) for name in certifier.columns}
    settings = {"candidates": 30}
    if name != "attack":  # whose rows have no counts
        assert certifier.evaluations(row, settings) == sum(taken)
    else:
        assert certifier.evaluations(row, settings) is None


def test_certify_and_predict_are_the_smoothed_classifiers_own():
    g = SmoothedClassifier(scores, GAUSSIAN)
    assert CERTIFIERS["certify"]()(X, 3) == g.certify(X, 10, 100, example=3)
    assert CERTIFIERS["predict"]()(X, 3) == g.predict(X, 100, example=3)
    exact = SmoothedClassifier(scores, FINITE).certify_exactly(X)
    assert CERTIFIERS["exact"]()(X, 3) == exact


@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_a_row_is_read_again_at_another_alpha_as_it_would_be_sampled(alpha):
    first = CERTIFIERS["certify"]()(X, 0)
    again = Certify(scores, GAUSSIAN, n0=10, n=100, alpha=alpha)
    assert again.read_again({**vars(first)}) == again(X, 0)
    predicted = CERTIFIERS["predict"]()(X, 0)
    later = Predict(scores, GAUSSIAN, n=100, alpha=alpha)
    assert later.read_again(vars(predicted) | {"predict": predicted.prediction}) == later(X, 0)


def test_a_row_without_selection_votes_or_of_another_class_is_left_out_again():
    certify = Certify(scores, GAUSSIAN, n0=10, n=100, stop_if_misclassified=True)
    left = certify(X, 0, 1)
    assert left.status == "misclassified"
    assert certify.read_again(vars(left)) == left
    broken = Certify(lambda x: scores(x) * float("nan"), GAUSSIAN, n0=10, n=100, stop_if_misclassified=True)
    assert broken.read_again(vars(broken(X, 0, 1))) == broken(X, 0, 1)


def test_an_abstention_is_not_predicted_from_its_row():
    near = torch.tensor([0.12, 0.12])
    abstained = Predict(lambda x: torch.stack([x.sum(1), -x.sum(1)], 1), Gaussian(2.0), n=100, alpha=1e-6)(near, 0)
    assert abstained.status == "abstained"
    with pytest.raises(SettingError, match="does not contain the class"):
        Predict(scores, GAUSSIAN, n=100, alpha=0.999).read_again(vars(abstained) | {"predict": -1})


@pytest.mark.parametrize("name", ["adaptive", "attack", "exact_center"])
def test_what_a_row_does_not_hold_is_refused(name):
    with pytest.raises(SettingError, match="cannot be read again"):
        CERTIFIERS[name]().read_again({})


@pytest.mark.parametrize("name", CERTIFIERS)
def test_every_certifier_takes_an_evaluation(name):
    certifier = CERTIFIERS[name](seed=7, batch_size=16, precision="float32", compiled=False)
    assert (certifier.seed, certifier.engine.batch_size) == (7, 16)
    with pytest.raises(SettingError, match=r"batchsize: no such argument; .*seed, batch_size, precision"):
        CERTIFIERS[name](batchsize=16)
    with pytest.raises(SettingError, match="batch_size"):
        CERTIFIERS[name](batch_size=0)


def test_an_evaluation_and_its_keyword_arguments_are_the_same():
    assert [field.name for field in fields(Evaluation)] == list(EvaluationOptions.__annotations__)
