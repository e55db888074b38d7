"""The losses and optimizers of a denoiser in front of a classifier, and the outputs that its trainer refuses."""

import numpy as np
import pytest
import torch

from experiments.training.denoiser_trainer import DenoiserTrainer
from models.denoised import Denoised
from smoothing import SettingError


def log_softmax(scores):
    z = scores.detach().double().numpy()
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


@pytest.fixture
def pair():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        named = {"_target_": "models.classifiers.SmallCNN", "width": 4}
        yield Denoised(10, 1, (0.3,), (0.4,), classifier=named, depth=3, width=4)


def test_the_losses_are_the_papers(pair):
    """The losses, in NumPy, from the outputs of the two networks."""
    x, labels = torch.rand(6, 1, 8, 8), torch.arange(6)
    noisy = x + 0.3 * torch.randn_like(x)
    losses = {}
    for loss in ("mse", "stability"):
        trainer = DenoiserTrainer(4, 6, 0.1, clean_epochs=2, loss=loss)
        for epoch in (0, 2):
            trainer.set_mode(pair, epoch)
            value, scores = trainer.objective(pair, x, labels, lambda x: noisy, epoch)
            losses[loss, epoch] = value.item(), scores
    trainer.set_mode(pair, 2)
    clean, denoised = pair.classifier(x), pair.denoiser(noisy)
    wanted, scores = clean.argmax(dim=1).tolist(), pair.classifier(denoised)
    assert wanted != labels.tolist()
    difference = (denoised - x).detach().double().numpy()
    cross_entropy = -np.mean([log_softmax(clean)[i, i] for i in range(6)])
    stability = -np.mean([log_softmax(scores)[i, wanted[i]] for i in range(6)])
    assert losses["mse", 0][0] == losses["stability", 0][0] == pytest.approx(cross_entropy, rel=1e-5)
    assert losses["mse", 2][0] == pytest.approx((difference**2).sum() / (6 * 64), rel=1e-5)
    assert losses["stability", 2][0] == pytest.approx(stability, rel=1e-5)
    assert torch.allclose(losses["mse", 0][1], clean)
    assert torch.allclose(losses["stability", 2][1], scores, atol=1e-5)
    assert torch.allclose(losses["mse", 2][1], scores, atol=1e-5)


def test_the_losses_of_a_retrained_classifier(pair):
    """First the denoiser's loss, as with mse; then the classifier's cross entropy on denoised images."""
    x, labels = torch.rand(6, 1, 8, 8), torch.arange(6)
    noisy = x + 0.3 * torch.randn_like(x)
    trainer = DenoiserTrainer(4, 6, 0.1, clean_epochs=2, loss="mse_retrain")
    trainer.set_mode(pair, 0)
    first, _ = trainer.objective(pair, x, labels, lambda x: noisy, 0)
    assert first.item() == pytest.approx(((pair.denoiser(noisy) - x) ** 2).mean().item(), rel=1e-5)
    trainer.set_mode(pair, 2)
    second, scores = trainer.objective(pair, x, labels, lambda x: noisy, 2)
    assert torch.equal(scores, pair.classifier(pair.denoiser(noisy)))
    assert second.item() == pytest.approx(-np.mean([log_softmax(scores)[i, i] for i in range(6)]), rel=1e-5)


@pytest.mark.parametrize("loss", ["mse", "stability", "mse_retrain"])
def test_each_phase_has_gradients_in_its_own_part_alone(pair, loss):
    trainer, x = DenoiserTrainer(4, 6, 0.1, clean_epochs=2, loss=loss), torch.rand(6, 1, 8, 8)
    first, second = ((pair.classifier, pair.denoiser), (pair.denoiser, pair.classifier))
    for epoch, (mine, other) in zip((1, 2), (second, first) if loss == "mse_retrain" else (first, second), strict=True):
        pair.zero_grad()
        trainer.set_mode(pair, epoch)
        value, _ = trainer.objective(pair, x, torch.arange(6), lambda x: x + 0.1, epoch)
        value.backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in list(mine.parameters())[-2:])
        assert all(p.grad is None for p in other.parameters())
        assert all(module.training for module in mine.modules())
        assert not any(module.training for module in other.modules())


def test_each_phase_begins_with_a_learning_rate_and_an_optimizer_of_its_own(pair):
    given = {"optimizer": "sgd", "denoiser_optimizer": "adam", "clean_epochs": 4}
    steps = DenoiserTrainer(10, 6, 0.1, 3, lr_factor=0.5, denoiser_lr=0.02, **given)
    rates = [steps.learning_rate(epoch) for epoch in range(10)]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01])
    cosine = DenoiserTrainer(10, 6, 0.1, schedule="cosine", denoiser_lr=0.02, **given)
    assert [cosine.learning_rate(epoch) for epoch in (0, 2, 4, 7)] == pytest.approx([0.1, 0.05, 0.02, 0.01])
    retrained = DenoiserTrainer(10, 6, 0.1, 3, lr_factor=0.5, denoiser_lr=0.02, loss="mse_retrain", **given)
    rates = [retrained.learning_rate(epoch) for epoch in range(10)]
    assert rates == pytest.approx([0.02, 0.02, 0.02, 0.01, 0.01, 0.01, 0.1, 0.1, 0.1, 0.05])
    first, second = steps.make_optimizers(pair)
    assert isinstance(first, torch.optim.SGD)
    assert isinstance(second, torch.optim.Adam)
    for optimizer, network in ((first, pair.classifier), (second, pair.denoiser)):
        assert {id(p) for p in optimizer.param_groups[0]["params"]} == {id(p) for p in network.parameters()}


@pytest.mark.parametrize(
    ("part", "returned", "epoch", "message"),
    [
        ("classifier", lambda y: {"logits": y}, 0, r"a tensor of the model's outputs, got dict; wrap it .* \.logits"),
        ("classifier", lambda y: y.argmax(dim=1), 0, "a vector of scores for each image, got one number"),
        ("classifier", lambda y: y[..., None], 2, r"a vector of scores for each image, got outputs of shape \(10, 1\)"),
        (
            "denoiser",
            lambda y: y[:, :, :1],
            2,
            r"images of shape \(6, 1, 8, 8\) from the denoiser, got shape",
        ),
        ("denoiser", lambda y: (y, y), 2, "from the denoiser, got tuple of 2; wrap it so"),
    ],
)
def test_outputs_of_a_part_that_do_not_fit_are_refused(pair, part, returned, epoch, message):
    getattr(pair, part).register_forward_hook(lambda module, inputs, outputs: returned(outputs))
    trainer = DenoiserTrainer(4, 6, 0.1, clean_epochs=2)
    with pytest.raises(SettingError, match=f"^trainer: DenoiserTrainer expected .*{message}"):
        trainer.objective(pair, torch.rand(6, 1, 8, 8), torch.arange(6), lambda x: x, epoch)
