"""Training a base classifier under the noise that it will be certified with.

Everything random is a function of (seed, purpose, epoch, step). Each process draws the order, the crops and the noise
of the whole global batch and uses its own slice. So losses do not depend on the number of processes, and an interrupted
run resumes exactly.
"""

import copy
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from experiments.config.settings import Settings
from experiments.config.user_code import code_hash, targets
from experiments.data import LabelledImages, TargetDataset
from experiments.data.augmentation import Augmentation
from experiments.data.base import require_dataset
from experiments.machine import stopping
from experiments.machine.device import choose_device, keep_freed_memory
from experiments.machine.lock import Lock
from experiments.runs.provenance import provenance
from experiments.training import checkpoints, training_data
from experiments.training.base_function import input_of, new_model, new_noise, warn_of_pixels
from experiments.training.graphed import GraphedSteps, can_be_replayed, keep_state_on
from experiments.training.step import Step, evaluated
from experiments.training.step_noise import Purpose, StepNoise
from experiments.training.testing import results_on_test_data
from experiments.training.trainer import Trainer
from smoothing import Noise, SettingError
from smoothing.arithmetic import float32_products
from smoothing.base_function import require_statistics
from smoothing.fast_copy import computed_members


@dataclass(frozen=True)
class Job:
    """Everything that a process needs to train."""

    settings: Settings
    trainer: Trainer
    dataset: TargetDataset
    images: LabelledImages
    noise: Noise | None
    model: nn.Module
    folder: Path
    code: str = ""  # hash of the source of the user's model, when training began
    data: str = ""  # `data_hash` of the images


def train(settings: Settings) -> Path:
    """Train the configured model, resuming after the last finished epoch, and return the checkpoint's folder.

    A finished checkpoint is left unchanged.

    Raises:
        SmoothingError: settings or data cannot be used; the message says what to do.
    """
    device = choose_device(settings.device)
    dataset = require_dataset(settings.dataset.build())
    folder = checkpoints.folder(settings, dataset)
    trainer = settings.trainer.build()  # type: ignore[union-attr]  # `folder` has refused None
    if not isinstance(trainer, Trainer):
        raise SettingError(f"trainer: expected a subclass of Trainer, got {settings.trainer.target}")  # type: ignore[union-attr]
    if trainer.precision == "auto":
        trainer = replace(trainer, precision="32-true")
    noise = new_noise(settings, dataset) if trainer.noisy else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trainer.seed)
        model = new_model(settings, dataset)
    trainer.require(model)
    trainer.require_classes(dataset)
    require_statistics(model)
    leftovers = [folder / name for name in (checkpoints.RESUME, checkpoints.LOCK)]  # of a run killed at its end
    if (folder / checkpoints.METADATA).exists() and not any(path.exists() for path in leftovers):
        training_data.require_same_data(folder, checkpoints.read(folder), dataset)
        checkpoints.say_trained(folder, settings)
        return folder
    fabric = _fabric(trainer, device, model)
    images, code = training_data.training_images(dataset, trainer), code_hash(settings.model.as_dict())
    data = training_data.data_hash(dataset, images)
    warn_of_pixels(model, images, dataset.levels, noise)
    if fabric.is_global_zero:
        training_data.warn_of_trained_examples(dataset, images)
    folder.mkdir(parents=True, exist_ok=True)
    launch = partial(_fit, job=Job(settings, trainer, dataset, images, noise, model, folder, code, data))
    # If srun or torchrun started several processes, one of them holds the lock for all.
    with Lock(folder / checkpoints.LOCK) if fabric.is_global_zero else nullcontext():
        if (folder / checkpoints.METADATA).exists():
            training_data.require_same_hash(folder, checkpoints.read(folder).get(training_data.KEY, ""), data)
            (folder / checkpoints.RESUME).unlink(missing_ok=True)
        else:
            fabric.launch(launch)
    return folder


def _fabric(trainer: Trainer, device: torch.device, model: nn.Module) -> Fabric:
    """Lightning Fabric with the trainer's processes and precision. Raises SettingError."""
    gpu = device.type == "cuda"
    if gpu and device.index is None and trainer.devices > torch.cuda.device_count():
        raise SettingError(f"trainer.devices: expected at most {torch.cuda.device_count()} GPUs, got {trainer.devices}")
    if device.index is not None and trainer.processes > 1:
        raise SettingError(
            f"device: expected cuda for {trainer.processes} processes, got {device}, one GPU; or set trainer.devices=1"
        )
    batch_normalised = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    if trainer.processes > 1 and batch_normalised and not gpu:
        raise SettingError("trainer.devices: expected 1 on a CPU; batch normalisation over processes needs GPUs")
    started = TorchElasticEnvironment.detect() or int(os.environ.get("SLURM_NTASKS", "1")) > 1
    if trainer.nodes > 1 and not started:
        raise SettingError("trainer.nodes: start the processes of several machines with srun or torchrun")
    try:
        return Fabric(
            accelerator=device.type,
            devices=trainer.devices if device.index is None else [device.index],
            num_nodes=trainer.nodes,
            strategy="auto" if trainer.processes == 1 else "ddp" if started else "ddp_spawn",
            precision=trainer.precision,  # type: ignore[arg-type]
            plugins=None if started else [LightningEnvironment()],
        )
    except ValueError as error:
        raise SettingError(f"trainer.precision: {error}") from error


@contextmanager
def arithmetic_of_training(device: torch.device) -> Iterator[None]:
    """Context manager: float32 is never TF32. All batches have one shape, so cuDNN measures its fastest algorithm."""
    with float32_products(device):
        if device.type == "cuda":
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, False
        yield


def _fit(fabric: Fabric, job: Job) -> None:
    """Run all epochs, in each process."""
    keep_freed_memory()
    with arithmetic_of_training(fabric.device):
        _fit_all(fabric, job)


def _fit_all(fabric: Fabric, job: Job) -> None:
    trainer = job.trainer
    # Spawned processes share the memory of the weights. Without a copy, each would update the weights of the others.
    plain_model = copy.deepcopy(job.model, computed_members(job.model))
    if fabric.world_size > 1:
        plain_model = nn.SyncBatchNorm.convert_sync_batchnorm(plain_model)
    plain_optimizers = trainer.make_optimizers(plain_model)
    model, *optimizers = fabric.setup(Step(plain_model, fabric.strategy.precision), *plain_optimizers)
    average = _average(trainer, plain_model, plain_optimizers)
    kept = [plain_model, *([average] if average else [])]
    code = job.code if fabric.is_global_zero else ""
    rows = checkpoints.resume(job.folder, kept, plain_optimizers, code, job.data)
    keep_state_on(fabric.device, plain_optimizers)
    followed = job.settings.logger if fabric.is_global_zero else None
    logger = followed.build(config=job.settings.as_dict()) if followed else None
    for epoch in range(len(rows), trainer.epochs):
        phase = trainer.phase(epoch)
        for group in plain_optimizers[phase].param_groups:
            group["lr"] = trainer.learning_rate(epoch)
        rows.append(_timed_epoch(fabric, job, model, optimizers[phase], epoch))
        if fabric.is_global_zero:
            checkpoints.keep(job.folder, kept, plain_optimizers, rows, job.code, job.data)
            if logger:
                logger.log(rows[-1:])
        if _any_asked_to_stop(fabric):
            stopping.stop()
    final: nn.Module = average.module if average else plain_model
    if fabric.is_global_zero:
        checkpoints.save(job.folder, final, _metadata(fabric, job, final, rows))
        (job.folder / checkpoints.RESUME).unlink()
        if logger:
            logger.finish()
    fabric.barrier()


def _metadata(fabric: Fabric, job: Job, model: nn.Module, rows: checkpoints.Rows) -> dict[str, Any]:
    """What checkpoint.json says of a trained model, from its test results and the log."""
    trainer = job.trainer
    return {
        "trained_as": checkpoints.trained_as(job.settings, job.dataset),
        "num_classes": len(job.dataset.classes),
        "noise_state": job.noise.state() if job.noise else {},
        "epochs": trainer.epochs,
        "seed": trainer.seed,
        "training_loss": rows[-1]["loss"],
        **results_on_test_data(model, trainer, job.dataset, job.noise, fabric.device),
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "device": torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else "cpu",
        "processes": fabric.world_size,
        "trainer": asdict(trainer),
        **{key: value for key, value in (("code", job.code), (training_data.KEY, job.data)) if value},
        **provenance(targets(job.settings.as_dict())),
    }


def _average(trainer: Trainer, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> AveragedModel | None:
    """The average of the weights and of batch normalisation's statistics over all steps, if the trainer wants it."""
    if not trainer.ema_decay:
        return None
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(trainer.ema_decay), use_buffers=True)
    for optimizer in optimizers:
        optimizer.register_step_post_hook(lambda *_: average.update_parameters(model))
    return average


def _timed_epoch(fabric: Fabric, job: Job, model: Any, optimizer: Any, epoch: int) -> dict[str, Any]:
    """Run an epoch and print a line about it. Returns its row of the log. Raises SettingError if the loss diverged."""
    begun, trainer = time.perf_counter(), job.trainer
    loss, judged = _epoch(fabric, job, model, optimizer, epoch)
    if not np.isfinite(loss):
        raise SettingError(f"trainer.lr: expected a finite loss, got {loss} in epoch {epoch + 1}; use a lower lr")
    seconds = round(time.perf_counter() - begun, 3)
    figures = {"loss": loss, trainer.judged_by: judged}  # one entry if `judged_by` is the loss
    written = [f" {name} {value:.4g}" for name, value in figures.items()]
    fabric.print(f"epoch {epoch + 1}/{trainer.epochs}", *written, f" {seconds:.1f} s")
    return {"epoch": epoch + 1, **figures, "seconds": seconds}


def _epoch(fabric: Fabric, job: Job, model: Any, optimizer: Any, epoch: int) -> tuple[float, float]:
    """One pass over the training images. Returns the mean loss and the mean of `judge`, over all processes."""
    trainer, b = job.trainer, job.trainer.batch_size
    order = np.random.default_rng(trainer.key(Purpose.ORDER, epoch)).permutation(len(job.images))
    share = b // fabric.world_size
    mine = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)
    chunks = [order[first : first + b][mine] for first in range(0, len(order) - b + 1, b)]
    batches = job.images.batches(chunks, fabric.device, trainer.key(Purpose.READING, epoch), trainer.workers)
    sums = torch.zeros(2, dtype=torch.float64, device=fabric.device)
    plain_model: nn.Module = model.module.model  # inside the `Step` that Fabric wraps
    trainer.set_mode(plain_model, epoch)

    def take_step(x: Tensor, targets: Tensor, noise: StepNoise) -> None:
        loss, outputs = model(partial(evaluated, trainer, x, targets, noise, epoch))
        if epoch == noise.step == 0:
            _require_finite(fabric, trainer, loss)
        # All shares have the same size, so the mean of the processes' means is the mean of the batch.
        optimizer.zero_grad()
        fabric.backward(loss)
        if trainer.clip_norm:
            fabric.clip_gradients(model, optimizer, max_norm=trainer.clip_norm, error_if_nonfinite=False)
        optimizer.step()
        with torch.no_grad():
            sums.add_(torch.stack([loss * share, trainer.judge(outputs, targets).sum()]))

    if fabric.device.type == "cuda" and can_be_replayed(trainer, plain_model, optimizer.optimizer, len(chunks)):
        take_step = GraphedSteps(take_step, fabric.device)
    for step, (pixels, labels) in enumerate(batches):
        if trainer.crop_padding or trainer.flip:
            random = np.random.default_rng(trainer.key(Purpose.AUGMENTATION, epoch, step))
            pixels = Augmentation.draw(b, trainer.crop_padding, trainer.flip, random)[mine](pixels)
        images = pixels.to(torch.float32) / (job.dataset.levels or 1)
        x, targets = input_of(plain_model, images), trainer.targets(images, labels)
        take_step(x, targets, StepNoise(job.noise, trainer.seed, epoch, step, b, mine))
    loss, judged = torch.as_tensor(fabric.all_reduce(sums, reduce_op="sum")).div(len(chunks) * b).tolist()
    return loss, judged


def _any_asked_to_stop(fabric: Fabric) -> bool:
    """Whether any process was asked to stop. All processes agree, because the others would wait for one that stops."""
    asked = torch.tensor(float(stopping.asked()), device=fabric.device)
    return bool(torch.as_tensor(fabric.all_reduce(asked, reduce_op="max")) > 0)


def _require_finite(fabric: Fabric, trainer: Trainer, loss: Tensor) -> None:
    """Raises SettingError in all processes if the first loss of any is not finite, which no learning rate can fix."""
    broken = fabric.all_reduce((~loss.detach().isfinite()).float(), reduce_op="max")
    if torch.as_tensor(broken) > 0:
        raise SettingError(
            f"trainer: {type(trainer).__name__}.objective: expected a finite loss, got {loss.item()} on the first "
            "batch, before any step; look for a division by zero or a logarithm of zero"
        )
