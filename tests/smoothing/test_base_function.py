"""A base function that is not one fixed function of its input is refused."""

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional

from smoothing import L2, BaseFunctionError, CenterSmoothing, Gaussian, SettingError
from smoothing.base_function import FrozenFunction

X = torch.zeros(4)


def smoothing_of(f):
    return CenterSmoothing(f, Gaussian(1.0), L2(), n=400, m=400, delta=0.2)


class Locked(nn.Sequential):
    """A network that deepcopy refuses."""

    def __init__(self, *layers):
        super().__init__(*layers)
        self.lock = threading.Lock()


def test_eval_mode_is_enforced():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2)).train()
    h = smoothing_of(model)
    assert h.certify(X, 0.1).status == "certified"
    assert not any(module.training for module in h.f.f.modules())
    assert not any(parameter.requires_grad for parameter in h.f.f.parameters())
    h.f.f[2].train()
    with pytest.raises(BaseFunctionError, match=r"base function: 2 is in training mode"):
        h.certify(X, 0.1)


def test_a_network_in_training_mode_that_cannot_be_copied_is_refused():
    model = Locked(nn.Linear(4, 8), nn.BatchNorm1d(8)).eval()
    h = smoothing_of(model)
    h.certify(X, 0.1)
    model[1].train()
    with pytest.raises(BaseFunctionError, match=r"base function: 1 is in training mode.*cannot be copied: TypeError"):
        h.certify(X, 0.1)


def test_batch_normalisation_without_running_statistics_is_refused():
    with pytest.raises(BaseFunctionError, match="normalises by its batch"):
        smoothing_of(nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False))).certify(X, 0.1)


@pytest.mark.parametrize(
    "f",
    [
        lambda batch: functional.batch_norm(batch, None, None, training=True),
        lambda batch: functional.dropout(batch + 1, training=True),
        lambda batch: batch - batch.mean(dim=0),
        lambda batch: torch.rand_like(batch),
    ],
    ids=["batch norm", "dropout", "centering", "chance"],
)
def test_what_eval_mode_does_not_stop_is_found_out(f):
    with pytest.raises(BaseFunctionError, match="depend on the batch or on chance"):
        smoothing_of(f).certify(X, 0.1)


def test_the_wrong_number_of_outputs_is_refused():
    with pytest.raises(BaseFunctionError, match="expected a tensor of"):
        smoothing_of(lambda batch: batch[:1]).certify(X, 0.1)
    with pytest.raises(BaseFunctionError, match="got list"):
        smoothing_of(lambda batch: batch.tolist()).certify(X, 0.1)


def test_precision_changes_the_arithmetic_and_leaves_no_trace():
    model = nn.Linear(64, 64)
    x = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    exact, rough = FrozenFunction(model)(x), FrozenFunction(model, "bfloat16")(x)
    assert rough.dtype == torch.float32
    assert torch.equal(rough, rough.bfloat16().float())  # numbers that bfloat16 has
    assert not torch.equal(exact, rough)
    assert torch.allclose(exact, rough, atol=0.1)
    assert model(x).dtype == torch.float32
    with pytest.raises(SettingError, match="precision"):
        FrozenFunction(model, "float16")
