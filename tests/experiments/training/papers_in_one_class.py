"""Training methods from papers, one class each, to show that the trainer contract supports them."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from experiments.training.frozen import frozen
from experiments.training.trainer import Trainer


@dataclass(frozen=True)
class Macer(Trainer):
    """Zhai et al. (2020): cross entropy of the mean softmax, and a hinge on its certified radius."""

    copies: int = 4
    gamma: float = 8.0
    weight: float = 1.0

    def objective(self, model, x, labels, noise, epoch):
        scores = torch.stack([model(noise(x, k=k)) for k in range(self.copies)])
        p = scores.softmax(dim=2).mean(dim=0)
        two = p.topk(2)
        quantiles = torch.special.ndtri(two.values.double().clamp(1e-6, 1 - 1e-6))
        margin = quantiles[:, 0] - quantiles[:, 1]
        hinge = (self.gamma - margin).clamp(min=0) * (two.indices[:, 0] == labels)
        return functional.nll_loss(p.log(), labels) + self.weight * noise.sigma / 2 * hinge.mean(), p


@dataclass(frozen=True)
class SmoothAdv(Trainer):
    """Salman et al. (2019): PGD within eps against the mean softmax of m noisy copies, then training at its end."""

    copies: int = 2
    steps: int = 2
    eps: float = 0.25

    def objective(self, model, x, labels, noise, epoch):
        attacked = self.attacked(model, x, labels, noise)
        scores = torch.stack([model(noise(attacked, k=k)) for k in range(self.copies)])
        return functional.cross_entropy(scores.flatten(0, 1), labels.repeat(self.copies)), scores[0]

    def attacked(self, model, x, labels, noise):
        delta = torch.zeros_like(x, requires_grad=True)
        with frozen(model):
            for _ in range(self.steps):
                p = sum(model(noise(x + delta, k=k)).softmax(dim=1) for k in range(self.copies)) / self.copies
                loss = functional.nll_loss(p.log(), labels, reduction="sum")
                (gradient,) = torch.autograd.grad(loss, delta)
                step = gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
                delta = (delta + 2 * self.eps / self.steps * step).renorm(2, 0, self.eps).detach().requires_grad_()
        return (x + delta).clamp(0, 1).detach()


@dataclass(frozen=True)
class SmoothMix(SmoothAdv):
    """Jeong et al. (2021): a walk along the gradient, then mixup of its ends, the labels mixed with the uniform."""

    eta: float = 1.0

    def objective(self, model, x, labels, noise, epoch):
        walked = self.attacked(model, x, labels, noise)
        clean = torch.stack([model(noise(x, k=k)) for k in range(self.copies)])
        share = noise.uniform_like(x[:, :1, :1, :1]) / 2
        mixed = model(noise((1 - share) * x + share * walked, k=self.copies))
        wanted = functional.one_hot(labels, clean.shape[2]) * (1 - share.flatten(1)) + share.flatten(1) / clean.shape[2]
        loss = functional.cross_entropy(clean.flatten(0, 1), labels.repeat(self.copies))
        return loss + self.eta * functional.cross_entropy(mixed, wanted), clean[0]
