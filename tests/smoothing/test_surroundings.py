"""A caller's global settings do not affect a certificate, and are restored afterwards."""

import subprocess
import sys
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import nn

from smoothing import L2, Angular, CenterSmoothing, Certify, ExactCenterSmoothing, Gaussian
from smoothing.arithmetic import fixed_arithmetic, float32_products
from smoothing.base_function import FrozenFunction
from smoothing.noise import DeterministicSplitting

WIDE = 256


@contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@contextmanager
def default_device():
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


@contextmanager
def matmul_precision(kind):
    torch.set_float32_matmul_precision(kind)
    yield
    torch.set_float32_matmul_precision("highest")
    for backend in (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul):  # now "ieee", which torch was not before
        backend.fp32_precision = "none"


@contextmanager
def mkldnn(backend):
    before = backend.fp32_precision
    backend.fp32_precision = "bf16"
    yield
    backend.fp32_precision = before


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


SURROUNDINGS = {
    "nothing": nullcontext,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "autocast to half": lambda: torch.autocast("cpu", torch.float16),
    "medium": lambda: matmul_precision("medium"),
    "high": lambda: matmul_precision("high"),
    "mkldnn": lambda: mkldnn(torch.backends.mkldnn),
    "mkldnn matmul": lambda: mkldnn(torch.backends.mkldnn.matmul),
    "mkldnn conv": lambda: mkldnn(torch.backends.mkldnn.conv),
    "gradients": torch.enable_grad,
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "deterministic": deterministic,
    "float64": default_dtype,
    "default device": default_device,
}


def state():
    """All settings; None for those that torch does not report after both of its interfaces were used."""

    def told(read):
        try:
            return read()
        except RuntimeError:
            return None

    return [
        torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"),
        told(torch.get_float32_matmul_precision),
        told(lambda: torch.backends.cuda.matmul.allow_tf32),
        told(lambda: torch.backends.cudnn.allow_tf32),
        *(b.fp32_precision for b in (torch.backends, torch.backends.mkldnn, torch.backends.cudnn)),
        *(b.fp32_precision for b in (torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv)),
        *(b.fp32_precision for b in (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_default_dtype(),
        torch.get_default_device(),
    ]


class Network(nn.Module):
    """Makes a tensor of the default dtype on the default device, as users' layers do."""

    def __init__(self):
        super().__init__()
        self.conv, self.wide, self.last = nn.Conv2d(1, 4, 3), nn.Linear(64, WIDE), nn.Linear(WIDE, 300)

    def forward(self, x):
        return self.last(torch.relu(self.wide(self.conv(x).flatten(1)))) * torch.linspace(0.5, 1.5, 300)


@pytest.fixture(scope="module")
def certifiers():
    torch.manual_seed(0)
    f, noise = Network(), Gaussian(0.5)
    votes = Certify(f, noise, n0=50, n=500)
    l2 = CenterSmoothing(f, noise, L2(), n=400, m=300, delta=0.2)  # enough for the medoid's screen
    angle = CenterSmoothing(f, noise, Angular(), n=400, m=300, delta=0.2)
    exact = ExactCenterSmoothing(f, DeterministicSplitting(0.5, 5, (1, 6, 6)), L2())
    return votes, l2, angle, exact


def found(certifiers):
    votes, l2, angle, exact = certifiers
    x = (torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float32, device="cpu") * 5).round()
    results = [l2.certify(x / 5, 0.1, example=0), angle.certify(x / 5, 0.1, example=0), exact.certify(x / 5, 0.2)]
    return votes(x / 5, 0, 0), [(c.eps_out, c.center_radius, c.smoothing_error, c.center.tolist()) for c in results]


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_certificates_are_the_same_whatever_surrounds_them(name, certifiers):
    expected, outside = found(certifiers), state()
    with SURROUNDINGS[name]():
        before = state()
        assert found(certifiers) == expected
        assert state() == before
    assert state()[5:] == outside[5:]  # no setting that was inherited inside has become one of its own


def test_the_default_device_may_be_another_while_the_library_is_imported():
    words = (
        "import torch; torch.set_default_device('meta'); import smoothing; torch.set_default_device(None);"
        "noise = smoothing.Gaussian(0.5, grid=255); x = torch.zeros(3);"
        "print(smoothing.SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), noise).predict(x, n=20).n)"
    )
    assert subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout == "20\n"


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_f_and_metrics_see_none_of_it(name):
    seen = []

    class Spy(L2):
        def _distance(self, a, b):
            seen.append(state())
            return super()._distance(a, b)

    def f(batch):
        seen.append(state())
        return batch * torch.ones(6)

    h = CenterSmoothing(f, Gaussian(0.5), Spy(), n=300, m=100, delta=0.2)
    with SURROUNDINGS[name]():
        h.certify(torch.zeros(6, dtype=torch.float32, device="cpu"), 0.1)
    for told in seen:
        assert told[0] is False
        assert not {"bf16", "tf32"} & {told[8], told[9]}
        assert told[13:15] == [False, False]
        assert told[15:] == [False, torch.float32, torch.device("cpu")]


@pytest.mark.parametrize("backend", [torch.backends.mkldnn.conv, torch.backends.mkldnn.matmul, torch.backends.mkldnn])
def test_a_precision_that_f_sets_ends_with_f(backend):
    seen, outside = [], state()

    class Spy(L2):
        def _distance(self, a, b):
            seen.append(state())
            return super()._distance(a, b)

    def f(batch):
        backend.fp32_precision = "bf16"
        return batch * torch.ones(6)

    CenterSmoothing(f, Gaussian(0.5), Spy(), n=300, m=100, delta=0.2).certify(torch.zeros(6), 0.1)
    assert all(not {"bf16", "tf32"} & {told[8], told[9]} for told in seen)
    assert state() == outside


@pytest.mark.parametrize("precision", ["tf32", "ieee"])
def test_what_cuda_inherits_it_inherits_again(precision):
    """torch's own `cudnn.flags` restores it as an explicit setting."""

    def of_cuda():
        backends = torch.backends
        return [b.fp32_precision for b in (backends.cudnn, backends.cuda.matmul, backends.mkldnn.matmul)]

    before = of_cuda()
    torch.backends.fp32_precision = precision
    with float32_products(torch.device("cuda")):
        assert torch.backends.cudnn.conv.fp32_precision == torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert of_cuda() == [precision] * 3
    torch.backends.fp32_precision = "none"
    assert of_cuda() == before
    for backend in (torch.backends.cudnn.conv, torch.backends.cudnn.rnn):  # its default, to which torch has no way back
        backend.fp32_precision = "tf32"


def test_precision_is_of_f_alone():
    f = FrozenFunction(lambda b: b @ b.T, "bfloat16")
    with fixed_arithmetic(torch.device("cpu")):
        assert not torch.is_autocast_enabled("cpu")
        x = torch.rand(8, 8)
        assert not torch.equal(f(x), x @ x.T)
        assert not torch.is_autocast_enabled("cpu")


def test_a_network_made_under_another_default_dtype_is_computed_under_it(certifiers):
    torch.set_default_dtype(torch.float64)
    try:
        f = Network()
        frozen = FrozenFunction(f)
        x = torch.rand(3, 1, 6, 6)
        expected = f(x).detach()
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.allclose(frozen(x), expected, atol=1e-12)


def test_settings_come_back_after_an_error():
    before = state()
    with pytest.raises(KeyError), fixed_arithmetic(torch.device("cpu"), "bfloat16", torch.float64):
        raise KeyError
    assert state() == before


@pytest.mark.parametrize(
    ("leak", "restore"),
    [
        (lambda: torch.set_autocast_enabled("cpu", True), lambda: torch.set_autocast_enabled("cpu", False)),
        (lambda: torch.set_grad_enabled(True), lambda: None),
        (lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32)),
    ],
)
def test_settings_that_f_leaves_behind_reach_no_metric_and_no_caller(leak, restore):
    seen, before = [], state()

    class Spy(L2):
        def _distance(self, a, b):
            seen.append(state())
            return super()._distance(a, b)

    def f(batch):
        leak()
        return batch.clone()

    try:
        CenterSmoothing(f, Gaussian(0.5), Spy(), n=300, m=100, delta=0.2).certify(torch.zeros(6), 0.1)
        assert state() == before
        assert seen
        assert {(told[0], *told[13:15], told[16]) for told in seen} == {(False, False, False, torch.float32)}
    finally:
        restore()
