"""What lies between the user and a proof: inputs in memory that is used again, noises, draws of another certifier."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from smoothing import (
    L2,
    Ablation,
    BaseFunctionError,
    CenterSmoothing,
    ConformalSets,
    DeterministicSplitting,
    ExactConformalSets,
    ExactMeanSmoothing,
    ExactMedianSmoothing,
    Gaussian,
    MeanSmoothing,
    MedianSmoothing,
    SettingError,
    SmoothedClassifier,
    Splitting,
    Uniform,
)
from smoothing.balanced_guarantee import BalancedSettings, balanced_certificate, rechecked
from smoothing.center_reach import answers_within
from smoothing.center_results import CenterDraws
from smoothing.exact_balanced import ExactBalancedCenterSmoothing
from smoothing.exact_center import ExactCenterSmoothing
from smoothing.mean_guarantee import exact_mean_certificate
from smoothing.noise.check import require_sound
from smoothing.quantile_guarantee import QuantileDraws

VALUES = (-2.0, 2.0, -2.0, 2.0)


def signs(x):
    """Scores of two classes: the sign of a number."""
    return torch.cat([-x, x], dim=1)


def generated():
    memory = torch.zeros(1)
    for value in VALUES:
        yield memory.fill_(value)


class Reused(Dataset):
    memory = np.zeros(1, dtype=np.float32)

    def __len__(self):
        return len(VALUES)

    def __getitem__(self, index):
        self.memory[0] = VALUES[index]
        return self.memory


@pytest.mark.parametrize("examples", [generated, Reused])
@pytest.mark.parametrize("batch_size", [10, 1000])
def test_memory_that_is_used_for_the_next_input(examples, batch_size):
    g = SmoothedClassifier(signs, Gaussian(sigma=0.5), batch_size=batch_size)
    assert [c.prediction for _, c in g.certify_all(examples(), n0=10, n=100)] == [0, 1, 0, 1]


class Returns(Gaussian):
    """Gaussian noise whose copies are changed by a function."""

    def __init__(self, changed, rowwise=False):
        super().__init__(sigma=0.5)
        self.changed, self.rowwise = changed, rowwise

    def sample(self, x, count, source):
        return self.changed(x + self.sigma * source.normal((count, *x.shape)))


@pytest.mark.parametrize("shape", [(3,), (64,), (3, 64, 64)])
@pytest.mark.parametrize("rowwise", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        lambda copies: copies[0],
        lambda copies: copies[:1],
        lambda copies: copies[:-1],
        lambda copies: torch.cat([copies, copies]),
        lambda copies: copies.flatten(),
        lambda copies: copies.long(),
        lambda copies: copies.numpy(),
        lambda copies: None,
    ],
    ids=["no rows", "one row", "too few", "too many", "flat", "integers", "an array", "nothing"],
)
def test_a_noise_that_does_not_return_as_many_copies_as_asked(shape, rowwise, changed):
    g = SmoothedClassifier(
        lambda x: signs(x.flatten(1).mean(dim=1, keepdim=True)), Returns(changed, rowwise), batch_size=128
    )
    with pytest.raises(BaseFunctionError, match=r"^noise: expected "):
        g.predict(torch.zeros(shape), n=1000)


@pytest.mark.parametrize("changed", [lambda copies: copies[:1], lambda copies: copies[0]])
def test_a_finite_noise_that_leaves_copies_out(changed):
    class Short(DeterministicSplitting):
        def copies(self, x, first, count):
            return changed(super().copies(x, first, count))

    noise = Short(sigma=0.5, levels=10, shape=(2,))
    with pytest.raises(BaseFunctionError, match="noise: expected 17 noisy copies"):
        SmoothedClassifier(lambda x: x, noise).certify_exactly(torch.zeros(2))
    with pytest.raises(BaseFunctionError, match="noise: expected 17 noisy copies"):
        list(noise.enumerate(torch.zeros(2), batch_size=20))


def test_another_rho_says_nothing_about_answers():
    """The counts `held` are of the n samples; what is rechecked has the m others."""
    zero, held = torch.zeros(1), np.full(1000, 2000)
    settings = BalancedSettings(q=0.6, rho=0.9, alpha3=0.005)
    draws = CenterDraws(zero, zero, 0.9, 4000, 2000, np.linspace(0, 2, 1000), 0.0, held, held_within=0.9)
    noise = Gaussian(sigma=0.5)
    again = rechecked(draws, rho=0.9)
    assert again.held is None
    assert balanced_certificate(again, 0.1, noise, L2(), settings).answers is None
    with pytest.raises(SettingError):
        answers_within(again, noise, settings)


NOISE = DeterministicSplitting(sigma=0.5, levels=10, shape=(1,))
X = torch.tensor([0.5])


@pytest.mark.parametrize(
    ("exact", "sampled"),
    [
        (ExactMedianSmoothing, partial(MedianSmoothing, n=60)),
        (partial(ExactMeanSmoothing, low=0, high=10), partial(MeanSmoothing, n=60, low=0, high=10)),
    ],
)
def test_samples_give_no_exact_interval(exact, sampled):
    f = nn.Linear(1, 1)
    drawn = sampled(f, NOISE).draw(X)
    with pytest.raises(SettingError, match="expected the outputs at all 17 noisy inputs"):
        exact(f, NOISE).read(drawn, 0.0)


@pytest.mark.parametrize("exact", [ExactCenterSmoothing, partial(ExactBalancedCenterSmoothing, q=0.6, rho=1.0)])
def test_samples_give_no_exact_center(exact):
    f = nn.Linear(1, 1)
    drawn = CenterSmoothing(f, NOISE, L2(), n=400, m=400, delta=0.2).draw(X)
    with pytest.raises(SettingError, match="expected the outputs at all 17 noisy inputs"):
        exact(f, NOISE, L2()).read(drawn, 0.1)


def test_a_mean_of_large_numbers_does_not_overflow():
    draws = QuantileDraws(np.full((17, 1), -1e308), torch.zeros(1))
    c = exact_mean_certificate(draws, 0.0, -1.2e308, -0.5e308, k=0)
    assert float(c.lower[0]) <= -1e308 <= float(c.upper[0])
    assert np.isfinite(c.estimate).all()
    assert c.width < 1e296


def test_a_radius_that_is_too_large_for_a_number():
    assert NOISE.affected(1e308) >= NOISE.steps
    assert NOISE.affected(1.0) == 10


class TestConformal:
    def calibrated(self, f, labels=(0, 1), **settings):
        g = ConformalSets(f, Gaussian(sigma=0.5), n=100, alpha=0.1, beta=0.01, held_out=100, **settings)
        g.calibrate_on([(torch.tensor([2.0 * k - 1]), labels[k]) for k in (0, 1) * 50])
        return g

    @pytest.mark.parametrize("label", [-1, 2, 0.9, True, None])
    def test_a_label_that_is_no_class(self, label):
        with pytest.raises(SettingError, match="label"):
            self.calibrated(signs, labels=(label, 1))

    def test_a_function_that_changes_after_calibration(self):
        scale = [1.0]
        g = self.calibrated(lambda x: scale[0] * signs(x))
        assert g.certify(torch.tensor([1.0]), eps=0.1).classes == "1"
        scale[0] = 0.1
        with pytest.raises(BaseFunctionError, match="changed since calibration"):
            g.certify(torch.tensor([1.0]), eps=0.1)

    def test_the_samples_of_calibration_are_not_used_again(self):
        g = self.calibrated(signs)
        for number in (0, 99, np.int64(3), np.array(3), torch.tensor(3)):
            with pytest.raises(SettingError, match=f"example: expected another number than {number}"):
                g.certify(torch.tensor([1.0]), eps=0.1, example=number)
        g.certify(torch.tensor([1.0]), eps=0.1, example=100)

    def test_the_samples_of_rows_that_were_read_are_not_used_again(self):
        g = ConformalSets(signs, Gaussian(0.5), n=200, alpha=0.2, beta=0.02, held_out=49)
        g.calibrate([{"index": 3 * k, "score": 0.5} for k in range(49)])
        with pytest.raises(SettingError, match="example: expected another number than 144"):
            g.certify(torch.tensor([1.0]), eps=0.1, example=144)
        g.certify(torch.tensor([1.0]), eps=0.1, example=143)
        g.certify(torch.tensor([1.0]), eps=0.1)
        assert g.next_example == 146

    def test_scores_are_rounded_as_at_calibration(self):
        """Batches of few rows round differently. With tied scores, the right class would then be left out."""
        for seed in range(12):
            generator = torch.Generator().manual_seed(seed)
            f = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
            for parameter in f.parameters():
                parameter.data.normal_(generator=generator).mul_(0.1)
            x = torch.randint(0, 2, (784,), generator=generator).float()
            noise = DeterministicSplitting(sigma=0.5, levels=1, shape=(784,))
            g = ExactConformalSets(f, noise, p=0.5, alpha=0.1, held_out=100, batch_size=64)
            g.calibrate_on([(x, 0)] * 100)
            assert "0" in g.certify(x, eps=0).classes.split()


def drawn_once():
    kept = []

    def cached(x, count, source):
        if not kept:
            kept.append(x + 0.5 * source.normal((count, *x.shape)))
        return kept[0][:count]

    return cached


class Own(Gaussian):
    """Gaussian noise that is drawn by a function of (x, count, source)."""

    def __init__(self, drawn):
        super().__init__(sigma=0.5)
        self.sample = drawn


UNSOUND = {
    "in place": (lambda x, n, s: x.clamp_(0, 0.25) + 0.5 * s.normal((n, *x.shape)), "changes its input in place"),
    "another source": (lambda x, n, s: x + 0.5 * torch.randn(n, *x.shape), "other copies when it is asked again"),
    "one array": (drawn_once, "repeats its copies"),
    "no source": (
        lambda x, n, s: x + torch.randn(n, *x.shape, generator=torch.Generator().manual_seed(0)),
        "repeats its copies",
    ),
    "expanded": (lambda x, n, s: (x + 0.5 * s.normal((1, *x.shape))).expand(n, *x.shape), "repeats one copy 64 times"),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_a_noise_whose_copies_are_no_independent_samples(kind):
    drawn, message = UNSOUND[kind]
    noise = Own(drawn_once() if kind == "one array" else drawn)
    x = torch.full((4,), 0.5)
    with pytest.raises(BaseFunctionError, match=f"noise: .*{message}"):
        SmoothedClassifier(lambda x: x[:, :2], noise).predict(x, n=1000)
    assert torch.equal(x, torch.full((4,), 0.5))


def test_finite_noise_that_changes():
    class Changing(DeterministicSplitting):
        def copies(self, x, first, count):
            return super().copies(x, first, count) + torch.rand(1)

    with pytest.raises(BaseFunctionError, match="other copies when it is asked again"):
        SmoothedClassifier(lambda x: x, Changing(sigma=0.5, levels=10, shape=(2,))).certify_exactly(torch.zeros(2))


@pytest.mark.parametrize(
    "noise",
    [
        Gaussian(sigma=1e-60),  # no noise at all, once it is rounded
        Gaussian(sigma=0.002, grid=255),  # one number in many moves
        Ablation(keep=1, shape=(1, 2, 2)),  # four different copies
        Ablation(keep=4, shape=(1, 2, 2)),
        Splitting(sigma=0.3, levels=1),
        Uniform(sigma=0.01, grid=255),
    ],
    ids=str,
)
def test_little_noise_is_no_fault(noise):
    for example in range(20):
        x = torch.zeros(1, 2, 2)
        SmoothedClassifier(lambda x: x.nan_to_num().flatten(1)[:, :2], noise).predict(x, n=100, example=example)


@pytest.mark.parametrize(("side", "copies", "blocks"), [(8, 64, 11), (100, 64, 3), (300, 16, 3), (1000, 2, 1)])
def test_large_inputs_take_little_memory(side, copies, blocks):
    asked = []

    def block(number, count):
        asked.append(count)
        return torch.randn(count, 1, 1, 1, generator=torch.Generator().manual_seed(number)).expand(count, 1, side, side)

    require_sound(Gaussian(sigma=1.0), torch.zeros(1, side, side), block, random=True)
    assert asked == [copies] * (blocks + 1)


def test_a_network_that_fails_prints_no_traceback(capfd):
    f = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 36, 2)).eval()
    g = SmoothedClassifier(f, Gaussian(sigma=0.1))
    g.predict(torch.zeros(1, 8, 8), n=100)
    with pytest.raises(BaseFunctionError, match="base function: RuntimeError"):
        g.predict(torch.zeros(1, 8, 16), n=100)
    out, err = capfd.readouterr()
    assert out + err == ""
