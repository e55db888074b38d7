"""Training steps of each trainer, compared with a bare loop of the same forward and backward passes.

`python -m experiments.benchmarks.training` prints the table and writes it to docs/bench_training.txt, in five minutes.

LeNet on batches of random images of MNIST's size. The bare loop has no noise, loss terms, attack, log or checkpoint: it
evaluates the network on as many rows as the trainer does, and computes the same gradients, of the weights or, in an
attack, of the input. On a GPU, the trainers replay their steps (`graphed`); the bare loop does not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from experiments.benchmarks.measuring import Measured, Way, hardware, in_turn, tuned
from experiments.config.check import checked
from experiments.config.command_line import CONF
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.data.base import Images
from experiments.machine.device import choose_device
from experiments.machine.words import counted
from experiments.training import loop
from experiments.training.frozen import frozen
from experiments.training.step import Step
from experiments.training.trainer import Trainer
from models.classifiers import LeNet
from smoothing import Gaussian

OUT = Path("docs/bench_training.txt")
SIGMA, LEVELS = 0.5, 255
EPOCH = 40  # MACER has its hinge from epoch 31 on
IMAGES = 3 * 256
IMAGES_ON_GPU = {"smoothadv": 30 * 256, "smoothmix": 30 * 256}  # and an epoch of MNIST for the others:
MNIST = 234 * 256  # a GPU replays all steps of an epoch but the first two
WEIGHTS, INPUT = "weights", "input"  # what a backward pass computes gradients of
PASSES = {  # the copies of each image in each pass, and its gradient
    "gaussian": [(1, WEIGHTS)],
    "stability": [(1, WEIGHTS)] * 2,
    "consistency": [(2, WEIGHTS)],
    "macer": [(16, WEIGHTS)],
    "smoothadv": [(4, INPUT)] * 10 + [(4, WEIGHTS)],
    "smoothmix": [(4, INPUT)] * 4 + [(4, WEIGHTS)] * 2,
}


@dataclass(frozen=True)
class TrainingSpeed:
    """One trainer's images per second, and the share of the bare loop's that it reaches."""

    method: str
    ours: Measured
    bare: Measured

    def __str__(self) -> str:
        passes = len(PASSES[self.method])
        images = images_of(self.method, choose_device("auto"))
        return (
            f"training LeNet, {self.method:12} {images / self.ours.median:7.0f} images/s   "
            f"{self.bare.times_slower_than(self.ours):4.0%} of a bare loop with its {passes} "
            f"{'pass' if passes == 1 else 'passes'}"
        )


def training_speeds() -> list[TrainingSpeed]:
    """All trainers, one after the other."""
    found = []
    for method in PASSES:
        ways: dict[str, Way] = {"ours": partial(tuned, our_epoch, method), "bare": partial(tuned, bare_epoch, method)}
        measured = in_turn(ways)
        found.append(TrainingSpeed(method, measured["ours"], measured["bare"]))
    return found


def trainer_of(method: str) -> Trainer:
    """The trainer of the experiment mnist_<method>."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = checked(compose("train", [f"experiment=mnist_{method}", f"noise.sigma={SIGMA}"]), Settings)
    assert settings.trainer
    made: Trainer = settings.trainer.build()
    return made


def images_of(method: str, device: torch.device) -> int:
    """The number of images in an epoch."""
    return IMAGES_ON_GPU.get(method, MNIST) if device.type == "cuda" else IMAGES


def _images(method: str, device: torch.device) -> tuple[Tensor, Tensor]:
    generator, count = torch.Generator().manual_seed(0), images_of(method, device)
    pixels = torch.randint(256, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    return pixels.to(device), torch.randint(10, (count,), generator=generator).to(device)


def _network(device: torch.device) -> LeNet:
    torch.manual_seed(0)
    return LeNet(10, 1, [0.0], [1.0]).to(device)


def our_epoch(method: str) -> Callable[[], object]:
    """An epoch of a trainer on the random images, to be done again by each call."""
    device = choose_device("auto")
    return epoch_of(trainer_of(method), _network(device), Images(*_images(method, device)), device, EPOCH)


def epoch_of(
    trainer: Trainer, network: nn.Module, images: Images, device: torch.device, epoch: int
) -> Callable[[], object]:
    """An epoch of `train.py` under Gaussian noise, to be done again by each call. The network is on the device."""
    optimizers = trainer.make_optimizers(network)
    fabric = Fabric(accelerator=device.type, devices=1)
    model, *wrapped = fabric.setup(Step(network, fabric.strategy.precision), *optimizers)
    unused: Any = None
    dataset: Any = SimpleNamespace(levels=LEVELS)
    job = loop.Job(unused, trainer, dataset, images, Gaussian(SIGMA), network, Path())
    return loop.arithmetic_of_training(device)(lambda: loop._epoch(fabric, job, model, wrapped[0], epoch))


def bare_epoch(method: str) -> Callable[[], object]:
    """The bare loop over the random images with a trainer's passes, to be done again by each call."""
    device, trainer = choose_device("auto"), trainer_of(method)
    network = _network(device)
    optimizer = trainer.make_optimizers(network)[0]
    pixels, labels = _images(method, device)

    def epoch() -> None:
        for first in range(0, len(pixels), trainer.batch_size):
            part = slice(first, first + trainer.batch_size)
            x, targets = pixels[part].float() / LEVELS, labels[part]
            for copies, kind in PASSES[method]:
                rows, wanted = x.repeat(copies, 1, 1, 1), targets.repeat(copies)
                if kind == INPUT:
                    with frozen(network):
                        rows.requires_grad_()
                        torch.autograd.grad(functional.cross_entropy(network(rows), wanted), rows)
                else:
                    optimizer.zero_grad()
                    functional.cross_entropy(network(rows), wanted).backward()
                    optimizer.step()

    return loop.arithmetic_of_training(device)(epoch)


def main() -> None:
    """Print the table and write it to docs/bench_training.txt."""
    lines = [
        f"{hardware(choose_device('auto'))}, {counted(torch.get_num_threads(), 'thread')}; torch {torch.__version__}",
        "",
    ]
    for speed in training_speeds():
        lines.append(str(speed))
        print(speed, flush=True)
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
