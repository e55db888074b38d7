"""certifier.match=paper: the fewest samples for an equally strong certificate; and predictions at another precision."""

import json
import math

import pytest
from scipy.stats import binom

from experiments.certifying.build import settled
from experiments.certifying.certification import certify
from experiments.config.identity import identity, identity_hash
from smoothing import L2, CenterSmoothing, Gaussian, SettingError


@pytest.mark.parametrize("h", [1.0, 2.0])
def test_the_papers_samples_become_the_least_that_prove_as_much(settings, h):
    sigma = 0.3
    asked = ("experiment=mnist_tvd", f"noise.sigma={sigma}", f"eps={h * sigma}", "certifier.bound=exact")
    plain = settled(settings(*asked, "certifier.match=paper"), Gaussian(sigma))
    certifier = plain.certifier.arguments
    assert 2 * certifier["n"] + certifier["m"] < 35_000
    assert certifier["delta"] < 0.05
    assert certifier["match"] is None
    same = settings(*asked, *(f"certifier.{key}={certifier[key]}" for key in ("n", "m", "delta")))
    assert identity_hash(identity(plain, "")) == identity_hash(identity(same, ""))


@pytest.mark.parametrize(
    "radii", [[0.3, 0.6], *(pytest.param(r, marks=pytest.mark.slow) for r in ([0.6, 0.3], [0.1, 0.3, 0.6]))]
)
def test_all_radii_are_matched_wherever_they_stand(settings, radii):
    asked = ("experiment=mnist_tvd", "noise.sigma=0.3", "certifier.bound=exact", "certifier.match=paper")
    plain = settings(*asked, f"eps={radii}")
    noise = Gaussian(0.3)
    paper, found = plain.certifier.arguments, settled(plain, noise).certifier.arguments
    for radius in radii:
        alpha = paper["alpha2"]
        papers = noise.mass(0.5 + paper["delta"], radius) + math.sqrt(math.log(1 / alpha) / (2 * paper["m"]))
        # The rank of the paper's quantile among the fewer distances is sound: the binomial tail is at most alpha.
        rank = math.floor(papers * found["m"])
        assert binom.sf(rank - 1, found["m"], noise.mass(0.5 + found["delta"], radius)) <= alpha * (1 + 1e-9)


def test_without_match_nothing_changes(settings):
    plain = settings("experiment=mnist_tvd")
    assert settled(plain, plain.noise.build()) is plain


def test_what_cannot_be_matched_is_refused(settings):
    plain = settings("experiment=mnist_tvd", "certifier.match=paper")
    with pytest.raises(SettingError, match=r"certifier\.match: paper needs certifier\.bound=exact"):
        settled(plain, plain.noise.build())
    with pytest.raises(SettingError, match=r"certifier\.match: expected paper"):
        CenterSmoothing(lambda batch: batch, Gaussian(1.0), L2(), n=400, m=400, delta=0.2, match="papers")


@pytest.mark.parametrize(("precision", "warned"), [("float32", False), ("bfloat16", True)])
def test_predicting_at_another_precision_is_said(trained, settings, tmp_path, capsys, precision, warned):
    folder = trained()
    quick = ("trainer.epochs=3", "trainer.lr_step=2", "limit=1", "certifier.n=50", "device=cpu")
    given = (*quick, f"checkpoints.root={folder.parent}", f"results.root={tmp_path}")
    path = certify(settings("experiment=digits_gaussian", *given)).parent
    assert json.loads((path / "run.json").read_text())["arithmetic"]["precision"] == "float32"
    capsys.readouterr()
    certify(settings("experiment=digits_gaussian", "certifier=predict", f"precision={precision}", *given))
    assert ("are of another function" in capsys.readouterr().err) == warned
