"""The engine changes the speed of results and nothing else."""

import pytest
import torch
from torch import nn

from smoothing import L2, Certify, DeterministicSplitting, ExactCertify, Gaussian, Predict, SettingError
from smoothing.base_function import FrozenFunction
from smoothing.cursor import noisy_inputs
from smoothing.engine import Engine
from smoothing.folding import folded
from smoothing.sampling import Samples, whole
from smoothing.streams import Stage, Stream

NOISE = Gaussian(0.5)


class Network(nn.Module):
    """Convolutions with batch normalisation, one of them shared, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.shared = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Sequential(nn.Flatten(), nn.Linear(4 * 36, 8), nn.BatchNorm1d(8), nn.Linear(8, 3, bias=False))
        with torch.no_grad():
            for _ in range(50):  # running statistics that fit: no class is always the answer
                self(torch.rand(64, 1, 6, 6) + 0.5 * torch.randn(64, 1, 6, 6))

    def forward(self, x):
        x = self.first(x)
        x = torch.relu(self.norm(self.shared(x)))
        return self.last(self.shared(x))


def images(count):
    return torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(3))


def certificates(procedure, batch_size, together):
    p = procedure(batch_size)
    if together:
        return [c for c, _ in p.engine.run_all(p.procedure(x, i, 0) for i, x in enumerate(images(9)))]
    return [p(x, i, 0) for i, x in enumerate(images(9))]


@pytest.mark.parametrize("batch_size", [1, 7, 64, 100, 128, 1000])
@pytest.mark.parametrize("stop", [False, True])
def test_examples_that_share_batches_get_the_certificates_they_get_alone(batch_size, stop):
    f = Network()

    def procedure(size):
        return Certify(f, NOISE, n0=20, n=150, stop_if_misclassified=stop, batch_size=size)

    alone = certificates(procedure, 64, together=False)
    assert certificates(procedure, batch_size, together=True) == alone
    assert len({c.n_a for c in alone}) > 1


def test_levels_of_several_images_share_batches():
    f, noise = Network(), DeterministicSplitting(0.5, 5, (1, 6, 6))
    grid = (images(9) * 5).round() / 5
    sizes = []
    p = ExactCertify(lambda batch: f(batch), noise, batch_size=32, on_samples=sizes.append)
    f.eval()
    together = [c for c, _ in p.engine.run_all(p.procedure(x, i, 0) for i, x in enumerate(grid))]
    assert sizes == [32] * (9 * noise.steps // 32) + [9 * noise.steps % 32]
    assert together == [p(x, i, 0) for i, x in enumerate(grid)]
    assert together == [ExactCertify(f, noise, batch_size=5)(x, i, 0) for i, x in enumerate(grid)]


def test_all_batches_but_the_last_are_full():
    """Small requests of many examples, whose ends lie anywhere in a batch."""

    def counting(number):
        (answers,) = yield [Samples(torch.zeros(2), NOISE, whole, Stream(0, number, Stage.CENTER), 27, shared=True)]
        return sum(map(len, answers))

    sizes = []
    engine = Engine(FrozenFunction(lambda batch: batch), 64, on_samples=sizes.append)
    assert [result for result, _ in engine.run_all(counting(i) for i in range(200))] == [27] * 200
    assert sizes == [64] * (200 * 27 // 64) + [200 * 27 % 64]


@pytest.mark.parametrize("shared", [False, True])
def test_results_come_in_order_however_early_they_are_there(shared):
    def procedure(number, counts):
        for k, count in enumerate(counts):  # of several inputs, since the samples of one are requested once
            x = torch.full((2,), float(k))
            request = Samples(x, NOISE, whole, Stream(0, number, Stage.CENTER), count, shared=shared)
            ((*found,),) = yield [request]
            assert sum(map(len, found)) == count
        return number

    engine = Engine(FrozenFunction(lambda batch: batch), 64)
    counts = [[200, 3], [], [1], [0, 5], [500], [], [64, 64], [2]]
    results = list(engine.run_all(procedure(i, c) for i, c in enumerate(counts)))
    assert [number for number, _ in results] == list(range(len(counts)))
    assert all(seconds >= 0 for _, seconds in results)
    assert sum(seconds for _, seconds in results) > 0


def test_outputs_that_are_kept_are_evaluated_in_batches_of_their_own():
    sizes = []

    def procedure(number):
        yield [Samples(torch.zeros(2), NOISE, whole, Stream(0, number, Stage.CENTER), 100)]

    engine = Engine(FrozenFunction(lambda batch: batch), 64, on_samples=sizes.append)
    list(engine.run_all(procedure(i) for i in range(3)))
    assert sizes == [64, 36] * 3


def test_no_more_examples_are_begun_than_a_batch_needs():
    begun = []

    def procedures():
        for i in range(10):
            begun.append(i)
            yield Certify(Network(), NOISE, n0=20, n=500).procedure(images(1)[0], i, 0)

    results = Certify(Network(), NOISE, n=500, batch_size=64).engine.run_all(procedures())
    next(results)
    assert len(begun) <= 4  # whose 20 selection samples each fill one batch


@pytest.mark.parametrize("counts", [(333,), (100, 333)])
def test_few_examples_are_begun_when_little_is_left_of_the_last_one(counts):
    """999 of 1000 rows, later 998, ...: one copy of an example may be left for the next batch."""
    begun, ahead = 0, []

    def counting(number):
        nonlocal begun
        begun += 1
        stages = zip((Stage.SELECTION, Stage.ESTIMATION), counts, strict=False)
        answers = yield [
            Samples(torch.zeros(2), NOISE, len, Stream(0, number, stage), count, shared=True) for stage, count in stages
        ]
        return sum(map(sum, answers))

    engine = Engine(FrozenFunction(lambda batch: batch), 1000)
    for result, _ in engine.run_all(counting(i) for i in range(1500)):
        assert result == sum(counts)
        ahead.append(begun - len(ahead))
    assert max(ahead) <= 2 * 1000 / sum(counts) + 2


def test_what_an_example_raises_is_raised_in_its_turn():
    f, noise = Network(), DeterministicSplitting(0.5, 5, (1, 6, 6))
    p = ExactCertify(f, noise, batch_size=1000)
    on, off = torch.zeros(1, 6, 6), torch.full((1, 6, 6), 0.123)
    results = p.engine.run_all(p.procedure(x, i, 0) for i, x in enumerate([on, on, off, on]))
    assert next(results)[0] == next(results)[0]
    with pytest.raises(SettingError, match="not a multiple of 1/5"):
        next(results)


def test_inputs_of_several_shapes_do_not_share_batches():
    p = Predict(lambda batch: torch.stack([batch.flatten(1).sum(1), -batch.flatten(1).sum(1)], 1), NOISE, n=50)
    shapes = [(2,), (3,), (2,), (2, 2)]
    together = list(p.engine.run_all(p.procedure(torch.ones(s), i, 0) for i, s in enumerate(shapes)))
    assert [c for c, _ in together] == [p(torch.ones(s), i, 0) for i, s in enumerate(shapes)]


@pytest.mark.parametrize("batch_size", [1, 50, 64, 100, 1000])
def test_an_f_that_answers_with_its_input_is_not_overwritten(batch_size):
    def procedure():
        (found,) = yield [Samples(torch.zeros(2), NOISE, whole, Stream(0, 0, Stage.CENTER), 300, first=7)]
        return torch.cat(found)

    found = Engine(FrozenFunction(lambda batch: batch), batch_size).run(procedure())
    (expected,) = noisy_inputs(torch.zeros(2), NOISE, 307, Stream(0, 0, Stage.CENTER), 307)
    assert torch.equal(found, expected[7:])


def test_folding_keeps_the_function():
    f = Network().eval()
    fast, count = folded(f)
    assert count == 2  # not that behind the layer that is used twice
    assert sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in fast.modules()) == 1
    x = torch.randn(5, 1, 6, 6)
    assert torch.allclose(fast(x), f(x), atol=1e-5)
    assert sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in f.modules()) == 3  # f itself is left alone


def test_transposed_convolutions_are_folded_too():
    f = nn.Sequential(nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1), nn.BatchNorm2d(4)).eval()
    f[1].running_mean.normal_()
    f[1].running_var.uniform_(0.5, 2)
    fast, count = folded(f)
    x = torch.randn(2, 3, 5, 5)
    assert count == 1
    assert torch.allclose(fast(x), f(x), atol=1e-6)


def test_a_network_that_cannot_be_traced_is_copied():
    class BySign(Network):
        def forward(self, x):
            return super().forward(x if x.sum() > 0 else -x)

    f = BySign().eval()
    fast, count = folded(f)
    x = torch.randn(1, 1, 6, 6)
    assert count == 0
    assert torch.equal(fast(x), f(x))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("norm", [nn.BatchNorm2d(3), nn.Identity()], ids=["to fold", "nothing to fold"])
def test_a_trace_that_is_another_function_is_not_used(norm, precision):
    class Branching(nn.Module):
        """A trace sees a symbol instead of a tensor, and keeps the wrong branch."""

        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(1, 3, 3), norm, nn.Flatten())

        def forward(self, x):
            return self.layers(x) * (2 if type(x) is torch.Tensor else 1)

    f, x = FrozenFunction(Branching(), precision), torch.randn(10, 1, 3, 3)
    assert torch.allclose(f(x).float(), f.f(x), rtol=0.05, atol=0.05)
    assert not torch.allclose(folded(f.f)[0](x), f.f(x), rtol=0.05, atol=0.05)
    assert f.arithmetic()["folded_batch_norms"] == 0


def test_what_is_certified_is_recorded():
    f = FrozenFunction(Network(), "bfloat16")
    f(torch.randn(4, 1, 6, 6))
    expected = {"precision": "bfloat16", "folded_batch_norms": 2, "memory_format": "channels_last", "compiled": False}
    assert f.arithmetic() == expected
    assert f.f.last[1].weight.dtype == torch.float32  # the copy alone is in bfloat16


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_certificates():
    f = Network()
    plain, compiled = (Certify(f, NOISE, n0=20, n=150, batch_size=32, compiled=c) for c in (False, True))
    for i, x in enumerate(images(3)):
        a, b = plain(x, i, 0), compiled(x, i, 0)
        assert abs(a.n_a - b.n_a) <= 1
        assert a.prediction == b.prediction
    assert compiled.f.arithmetic()["compiled"]


@pytest.mark.gpu
def test_noise_made_beside_the_network_is_the_noise():
    x = torch.zeros(3, 64, 64, device="cuda")

    def procedure(example):
        (found,) = yield [Samples(x, NOISE, whole, Stream(0, example, Stage.CENTER), 1000)]
        return torch.cat(found)

    slow = nn.Sequential(*(nn.Conv2d(3, 3, 1, bias=False) for _ in range(30))).cuda()
    for layer in slow:
        nn.init.dirac_(layer.weight)
    found = [outputs for outputs, _ in Engine(FrozenFunction(slow), 96).run_all(procedure(e) for e in range(3))]
    for example, outputs in enumerate(found):
        expected = torch.cat(list(noisy_inputs(x, NOISE, 1000, Stream(0, example, Stage.CENTER), 1000)))
        assert torch.allclose(outputs, expected, atol=1e-5)


def test_metrics_are_computed_outside_of_the_precision_of_f():
    from smoothing import CenterSmoothing

    seen = []

    class Spy(L2):
        def _distance(self, a, b):
            seen.append((torch.is_autocast_enabled("cpu"), a.dtype))
            return super()._distance(a, b)

    h = CenterSmoothing(nn.Linear(4, 3), NOISE, Spy(), n=100, m=200, delta=0.3, precision="bfloat16")
    assert h.certify(torch.zeros(4), 0.1).status == "certified"
    assert seen
    assert not any(autocast for autocast, _ in seen)


def test_outputs_that_are_kept_share_no_batch_however_few_they_are():
    sizes = []
    engine = Engine(FrozenFunction(lambda b: b + 1), batch_size=50, on_samples=sizes.append)

    def procedure(example):
        (answers,) = yield [Samples(torch.zeros(2), Gaussian(0.5), whole, Stream(0, example, Stage.CENTER), 30)]
        return torch.cat(answers)

    list(engine.run_all([procedure(0), procedure(1)]))
    assert sizes == [30, 30]
