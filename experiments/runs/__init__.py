"""What is on disk of a run: its folder, its table, its record."""

from experiments.runs.wandb import WandbLogger

__all__ = ["WandbLogger"]
