"""The test results of a trained model, for checkpoint.json."""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from experiments.data import TargetDataset
from experiments.training.base_function import input_of
from experiments.training.step_noise import Purpose
from experiments.training.trainer import Trainer
from smoothing import Noise
from smoothing.fast_copy import computed_members
from smoothing.streams import BlockSource


def results_on_test_data(
    model: nn.Module, trainer: Trainer, dataset: TargetDataset, noise: Noise | None, device: torch.device
) -> dict[str, Any]:
    """In float32: the mean of `judge` on clean test images, and under one draw of training noise for each image.

    Args:
        model: the trained model, on the device; it is not changed.
        trainer: names the values (`judged_by`) and keys the noise.
        dataset: its test images.
        noise: of training; None: the mean under noise is None.
        device: to compute on.
    """
    testing = dataset.testing()
    clean = noisy = 0.0
    # After trainer.precision=bf16-true, weights are bfloat16.
    model = copy.deepcopy(model, computed_members(model)).float().eval()
    with torch.inference_mode():
        positions = np.arange(len(testing))
        chunks = [positions[first : first + trainer.batch_size] for first in positions[:: trainer.batch_size]]
        key = trainer.key(Purpose.READING)
        for step, (pixels, labels) in enumerate(testing.batches(chunks, device, key, workers=0)):
            images = pixels.to(torch.float32) / (dataset.levels or 1)
            x, targets = input_of(model, images), trainer.targets(images, labels)
            clean += float(trainer.judge(model(x), targets).sum())
            if noise:
                source = BlockSource(trainer.key(Purpose.TEST, 0, step), device)
                noisy += float(trainer.judge(model(noise.sample_each(x, source)), targets).sum())
    return {
        f"test_{trainer.judged_by}_under_noise": noisy / len(testing) if noise else None,
        f"test_{trainer.judged_by}_clean": clean / len(testing),
        "test_images": len(testing),
    }
