"""A run on disk: its folder, its table and its record, run.json."""

from experiments.runs.wandb import WandbLogger

__all__ = ["WandbLogger"]
