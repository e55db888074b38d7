"""A trainer's objective: it can draw noise and attack the model, and mistakes give one line."""

import csv
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file

from experiments.certifying.certification import certify
from experiments.data import Digits
from experiments.training import SmoothAdvTrainer, checkpoints
from experiments.training.frozen import frozen
from experiments.training.step_noise import Purpose, StepNoise
from experiments.training.trainer import Trainer
from models.classifiers import ResNetCIFAR
from smoothing import DeterministicSplitting, Gaussian, SettingError, Splitting, Uniform
from smoothing.streams import BlockSource

ROOT = Path(__file__).parents[3]
PAPERS = {  # with settings for a minute's training
    "Consistency": ("+trainer.copies=2",),
    "Stability": ("+trainer.weight=2.0",),
    "Macer": ("+trainer.copies=4", "+trainer.weight=1.0", "+trainer.temperature=1.0"),
    "SmoothAdv": ("+trainer.copies=2", "+trainer.steps=2", "+trainer.eps=0.25", "+trainer.warmup=1"),
    "SmoothMix": ("+trainer.copies=2", "+trainer.steps=2", "+trainer.step_size=0.25", "+trainer.weight=1.0"),
}
SPLITTING = (Splitting(0.5, 16), DeterministicSplitting(0.5, 16, (1, 8, 8)))


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def of_paper(paper):
    return (f"trainer._target_=experiments.training.{paper}Trainer", *PAPERS[paper])


def of_step(law, mine=slice(0, 6), **given):
    return StepNoise(law, **{"seed": 0, "epoch": 2, "step": 3, "whole": 6, "mine": mine} | given)


def log(folder):
    with (folder / "training.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("law", [Gaussian(0.3), Uniform(0.3)])
def test_the_noise_is_the_same_at_any_x(law):
    noise, x = of_step(law), torch.rand(6, 1, 8, 8)
    delta = noise(torch.zeros_like(x))
    for other in (x, -5 + 10 * x, x.flatten(1).view(6, 1, 8, 8) ** 2):
        assert torch.equal(noise(other), delta.add(other))
        assert torch.equal(noise(other, Purpose.NOISE, 0), noise(other))


def test_another_purpose_or_k_is_independent_noise():
    noise, x = of_step(Gaussian(1.0), whole=500, mine=slice(0, 500)), torch.zeros(500, 1, 8, 8)
    drawn = [noise(x, purpose, k).flatten() for purpose in (Purpose.NOISE, Purpose.SECOND_NOISE) for k in (0, 1, 2)]
    drawn += [of_step(Gaussian(1.0), whole=500, mine=slice(0, 500), **other)(x).flatten() for other in ({"step": 4},)]
    drawn.append(noise.uniform_like(x).flatten())
    correlations = torch.corrcoef(torch.stack(drawn)) - torch.eye(len(drawn))
    assert correlations.abs().max() < 0.03


def test_the_first_noise_is_the_one_that_checkpoints_were_trained_with():
    x, trainer = torch.rand(6, 1, 8, 8), Trainer(1, 6, 0.1)
    for purpose in (Purpose.NOISE, Purpose.SECOND_NOISE):
        source = BlockSource(trainer.key(purpose, 2, 3), x.device)
        assert trainer.key(purpose, 2, 3).spawn_key == (purpose, 2, 3, 0)
        assert torch.equal(of_step(Gaussian(0.3))(x, purpose), Gaussian(0.3).sample_each(x, source))


@pytest.mark.parametrize("law", [Gaussian(0.3), Uniform(0.3), *SPLITTING])
def test_each_process_takes_its_slice(law):
    x = torch.randint(17, (6, 1, 8, 8)) / 16
    whole, uniform = of_step(law)(x, k=1), of_step(law).uniform_like(x, k=1)
    for mine in (slice(0, 2), slice(2, 4), slice(4, 6)):
        assert torch.equal(of_step(law, mine)(x[mine], k=1), whole[mine])
        assert torch.equal(of_step(law, mine).uniform_like(x[mine], k=1), uniform[mine])


@pytest.mark.parametrize("law", [Gaussian(0.3), Uniform(0.3)])
def test_the_gradient_with_respect_to_x_is_the_identity(law):
    x, weights = torch.rand(6, 1, 8, 8, requires_grad=True), torch.rand(6, 1, 8, 8)
    (gradient,) = torch.autograd.grad((weights * of_step(law)(x)).sum(), x)
    assert torch.equal(gradient, weights)


@pytest.mark.parametrize("law", SPLITTING)
def test_splitting_noise_has_no_gradient_and_says_so(law):
    x = torch.full((6, 1, 8, 8), 0.5, requires_grad=True)
    with pytest.raises(SettingError, match=r"Splitting has no gradient .*noise=gaussian or noise=uniform$"):
        of_step(law)(x)
    assert torch.equal(of_step(law)(x.detach()), of_step(law)(x.detach() + 0.01))  # rounded to the same level
    with torch.no_grad():
        of_step(law)(x)


def test_an_attack_draws_a_noise_of_ones_own_anew_unless_it_says_that_it_is_additive():
    class Fading(Gaussian):
        def sample_each(self, x, source):
            return super().sample_each(x, source) * x

    class Parent:
        def sample_each(self, x, source):
            return super().sample_each(x, source) * x

    class Mixed(Parent, Gaussian):
        pass

    x = torch.rand(6, 1, 8, 8)
    for law in (Gaussian(0.3), Fading(0.3), Mixed(0.3), DeterministicSplitting(0.5, 16, (1, 8, 8))):
        noise = of_step(law).drawn_once()
        for there in (x, x / 2):
            assert torch.equal(noise(there, k=1), of_step(law)(there, k=1))


def test_sigma_and_the_uniform_numbers():
    assert of_step(Uniform(0.3)).sigma == 0.3
    with pytest.raises(SettingError, match=r"trainer\.noisy: expected true"):
        _ = of_step(None).sigma
    with pytest.raises(SettingError, match="got Nameless"):
        _ = of_step(type("Nameless", (), {})()).sigma
    drawn = of_step(None, whole=2000, mine=slice(0, 2000)).uniform_like(torch.rand(2000, 1, 1, 1))
    assert drawn.shape == (2000, 1, 1, 1)
    assert 0 <= drawn.min() < 0.01 < 0.99 < drawn.max() < 1
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.03)


def test_without_noise_a_copy_is_the_input():
    x = torch.rand(6, 1, 8, 8)
    assert of_step(None)(x, k=3) is x


def test_more_inputs_than_there_are_is_one_line():
    with pytest.raises(SettingError, match=r"expected the 6 inputs of a process, got 12; .*noise\(x, k=1\)"):
        of_step(Gaussian(0.3))(torch.rand(12, 1, 8, 8))


def test_a_frozen_model_is_as_it_was_afterwards():
    model = ResNetCIFAR(10, 1, (0.3,), (0.4,), depth=8).train()
    model.features[2].eval()
    first = next(model.parameters()).requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    x = torch.rand(6, 1, 8, 8, requires_grad=True)
    with suppress(KeyError), frozen(model):
        (gradient,) = torch.autograd.grad(model(x).sum(), x)
        assert gradient.abs().sum() > 0
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert [module.training for module in model.modules()] == modes
    assert all(weight.requires_grad == (weight is not first) for weight in model.parameters())
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
@pytest.mark.parametrize("paper", PAPERS)
def test_a_paper_trains_digits_and_the_network_is_certified(trained, settings, tmp_path, paper, precision):
    own = (*of_paper(paper), f"trainer.precision={precision}")
    folder = trained(*own)
    roots = (f"checkpoints.root={folder.parent}", f"results.root={tmp_path}")
    quick = ("trainer.epochs=3", "trainer.lr_step=2", "device=cpu", "certifier.n=500", "limit=3")
    table = certify(settings("experiment=digits_gaussian", *quick, *roots, *own))
    assert len(table.read_text().splitlines()) == 4
    rows, metadata = log(folder), json.loads((folder / "checkpoint.json").read_text())
    assert float(rows[2]["loss"]) < float(rows[0]["loss"])
    assert float(rows[2]["accuracy"]) > 0.7
    assert metadata["test_accuracy_under_noise"] > 0.7
    assert metadata["trained_as"]["trainer"]["type"] == f"{paper}Trainer"


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["32-true", "16-mixed", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("paper", PAPERS)
def test_a_paper_on_a_gpu(trained, paper, precision):
    """A network with batch normalisation is restored."""
    folder = trained(*of_paper(paper), f"trainer.precision={precision}", "device=cuda", "model=resnet20")
    assert float(log(folder)[2]["loss"]) < float(log(folder)[0]["loss"])


def test_an_attack_holds_the_noise_fixed_and_leaves_no_gradients(trained, monkeypatch):
    """Each step of the attack and the final training step use the same noises; x changes, the weights do not."""
    seen, drawn, backward, added, original = [], [], [], StepNoise.__call__, StepNoise.key

    def spy(noise, x, purpose=Purpose.NOISE, k=0):
        out = added(noise, x, purpose, k)
        if x.any():
            seen.append((k, x.detach().clone(), (out - x).detach()))
        return out

    def spy_drawing(noise, purpose, k):
        drawn.append(original(noise, purpose, k).spawn_key)
        return original(noise, purpose, k)

    def first_backward(self, loss, *given, **named):
        (model,) = models
        backward.append(all(weight.grad is None for weight in model.parameters()))
        return fabric_backward(self, loss, *given, **named)

    models, fabric_backward, objective = [], Fabric.backward, SmoothAdvTrainer.objective

    def kept(self, model, *given):
        models[:] = [model]
        return objective(self, model, *given)

    monkeypatch.setattr(SmoothAdvTrainer, "objective", kept)
    monkeypatch.setattr(StepNoise, "__call__", spy)
    monkeypatch.setattr(StepNoise, "key", spy_drawing)
    monkeypatch.setattr(Fabric, "backward", first_backward)
    trained(*of_paper("SmoothAdv"), "trainer.epochs=1", "trainer.batch_size=1297")
    assert backward == [True]
    assert [k for k, *_ in seen] == [0, 1] * 3
    assert drawn == [(Purpose.UNIFORM, 0, 0, 0), *((Purpose.NOISE, 0, 0, k) for k in (0, 1))]
    for k in (0, 1):
        assert all(torch.allclose(noise, seen[k][2], atol=1e-6) for *_, noise in seen[k::2])
    moved = (seen[4][1] - seen[0][1]).flatten(1).norm(dim=1)
    assert torch.equal(seen[4][1], seen[5][1])
    assert 0.05 < moved.min() <= moved.max() < 0.2501


@pytest.mark.parametrize("noise", ["ssn", "dssn"])
def test_an_attack_under_splitting_noise_is_refused(trained, noise):
    with pytest.raises(SettingError, match="has no gradient with respect to its input"):
        trained(*of_paper("SmoothAdv"), f"noise={noise}", "noise.sigma=0.5")


def test_a_loss_that_needs_sigma_needs_noise(trained):
    with pytest.raises(SettingError, match=r"trainer\.noisy: expected true"):
        trained(*of_paper("Macer"), "trainer.noisy=false")


@pytest.mark.slow
@pytest.mark.parametrize("paper", PAPERS)
def test_two_processes_have_the_losses_of_one(tmp_path, paper):
    """DDP with an attack and many forward passes per step. In float64, because Adam amplifies rounding errors."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    for devices in (1, 2):
        command = [sys.executable, str(ROOT / "train.py"), *of_paper(paper)]
        command += ["trainer.epochs=2", "device=cpu", f"trainer.devices={devices}", "trainer.precision=64-true"]
        command += [f"checkpoints.root={tmp_path / str(devices)}"]
        subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    (one,), (two,) = ((tmp_path / str(devices)).glob("Digits*") for devices in (1, 2))
    assert json.loads((two / "checkpoint.json").read_text())["processes"] == 2
    for alone, together in zip(log(one), log(two), strict=True):
        assert float(together["loss"]) == pytest.approx(float(alone["loss"]), rel=1e-6)
    first, second = (load_file(folder / checkpoints.WEIGHTS) for folder in (one, two))
    assert all(torch.allclose(first[name], second[name], rtol=0, atol=1e-9) for name in first)


def objective(*lines):
    return "\n".join(
        [
            "import torch",
            "from torch.nn import functional",
            "from experiments.training.trainer import Trainer",
            "class Wrong(Trainer):",
            "    def objective(self, model, x, labels, noise, epoch):",
            "        scores = model(noise(x))",
            "        loss = functional.cross_entropy(scores, labels)",
            *(f"        {line}" for line in lines),
        ]
    )


@pytest.fixture
def wrong(tmp_path, monkeypatch):
    """wrong("return loss") makes a trainer whose objective ends with that line, and returns its `_target_`."""

    def write(*lines):
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "wrong_trainers", raising=False)
        (tmp_path / "wrong_trainers.py").write_text(objective(*lines))
        return "trainer._target_=wrong_trainers.Wrong"

    return write


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("return loss", r"Wrong\.objective: expected two tensors, .* got a Tensor"),
        ("return loss, scores, labels", r"expected two tensors, the loss and the outputs, got 3 values"),
        ("pass", r"got a NoneType"),
        ("return loss.item(), scores", r"expected two tensors"),
        (
            "return (scores - 1).square().mean(dim=1), scores",
            r"expected a loss of shape \(\), got \(100,\)",
        ),
        ("return loss.detach(), scores", r"expected a loss with a gradient"),
        ("return loss * float('nan'), scores", r"Wrong\.objective: expected a finite loss, got nan on the first batch"),
        ("return loss, scores[:50]", r"expected an output for each of 100 inputs, got shape \(50, 10\)"),
        ("return loss, scores.mean()", r"expected an output for each of 100 inputs, got shape \(\)"),
        ("return loss, scores.argmax(dim=1)", r"Wrong expected scores of shape \(100, num_classes\) .* got \(100,\)"),
    ],
)
def test_a_wrong_objective_is_one_line(trained, wrong, tmp_path, ending, message):
    with pytest.raises(SettingError, match=message) as error:
        trained(wrong(ending))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("checkpoint.json"))


def test_what_is_no_trainer_is_one_line(trained):
    with pytest.raises(SettingError, match=r"^trainer: expected a subclass of Trainer, got collections\.Counter$"):
        trained("trainer={_target_:collections.Counter}")


def test_another_source_is_another_checkpoint(composed, wrong):
    def folder(*lines):
        return checkpoints.folder(composed(wrong(*lines)), Digits())

    assert folder("return loss, scores") == folder("return loss, scores")
    assert folder("return loss, scores") != folder("return 2 * loss, scores")


def test_parts_of_a_model_can_be_called(trained, wrong):
    """An objective receives the model itself, not Fabric's wrapper."""
    folder = trained(wrong("assert type(model).__name__ == 'SmallCNN'", "return loss, model.layers(x)"))
    assert len(log(folder)) == 3
