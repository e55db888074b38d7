"""An epoch of ResNet-110 on as many random images as CIFAR-10 has, with the settings of Cohen et al."""

from collections.abc import Iterator

import torch
from hydra import compose, initialize_config_dir

from experiments.benchmarks.classifiers import CIFAR
from experiments.benchmarks.measuring import seconds
from experiments.benchmarks.training import epoch_of
from experiments.config.check import checked
from experiments.config.command_line import CONF
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.data.base import Images
from experiments.training.trainer import Trainer
from models.classifiers import ResNetCIFAR

IMAGES = 50_000


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Time a few batches, then the epoch."""
    depth, count = (8, 400) if tiny else (110, IMAGES)
    trainer = _trainer(*(("trainer.batch_size=100",) if tiny else ()))
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 3, 32, 32), generator=draw, dtype=torch.uint8).to(device)
    labels = torch.randint(10, (count,), generator=draw).to(device)
    torch.manual_seed(0)
    network = ResNetCIFAR(10, 3, *CIFAR, depth=depth).to(device)
    few = 4 * trainer.batch_size
    epoch_of(trainer, network, Images(pixels[:few], labels[:few]), device, 0)()  # cuDNN chooses its algorithms
    taken = seconds(epoch_of(trainer, network, Images(pixels, labels), device, 0))
    yield (
        f"ResNet-{depth}, {trainer.precision}, batches of {trainer.batch_size}: {taken:.1f} s for {count} images, "
        f"{count / taken:.0f} images/s"
    )
    if device.type == "cuda":
        yield f"peak memory {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB"


def _trainer(*more: str) -> Trainer:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = checked(compose("train", ["experiment=cifar10_gaussian", "noise.sigma=0.5", *more]), Settings)
    assert settings.trainer
    made: Trainer = settings.trainer.build()
    return made
