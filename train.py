"""Train a base function under the noise of its certification. Checkpoints go to checkpoints/<settings>-<hash>/.

python train.py experiment=digits_gaussian noise.sigma=0.25                     seconds on a CPU
python train.py -m experiment=digits_gaussian noise.sigma=0.12,0.25,0.5,1.0     a sweep
python train.py experiment=cifar10_gaussian trainer.devices=4                   several GPUs

After an interruption, run the same command to resume after the last finished epoch. certify.py finds the checkpoint
from its own settings.
"""

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.config.check import checked
from experiments.config.command_line import FOLDERS, command, key_of
from experiments.config.entry import one_line_errors, run
from experiments.config.left_out import typed_words
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.training import checkpoints
from experiments.training.base_function import require_settings
from experiments.training.weights import needs_checkpoint

register()

OF_TRAINING = {"precision": "trainer.precision", "batch_size": "trainer.batch_size"}  # instead of certification's


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
@one_line_errors
def main(cfg: DictConfig) -> list[Path]:
    settings = checked(cfg, Settings)
    typed = {key_of(word) for word in typed_words()}
    for name in sorted(typed & OF_TRAINING.keys()):
        print(f"{name} is for certification only; for training, set {OF_TRAINING[name]}", file=sys.stderr)
    if not needs_checkpoint(settings):
        require_settings(settings)
        print(f"{settings.model.name} brings its own weights, so there is nothing to train. Next: {_certify()}")
        return []
    from experiments.training import loop  # here, because importing Lightning takes seconds

    folder = loop.train(settings)
    metadata = checkpoints.read(folder)
    for name, value in metadata.items():
        if name.startswith("test_") and value is not None:
            print(f"{name.replace('_', ' ')}: {value:.6g}")
    print(f"Next: {_certify()}")
    print(folder)
    return [folder]


def _certify() -> str:
    """The command that certifies what was trained: the same overrides, and the experiment if it is the default one."""
    chosen, typed = HydraConfig.get().runtime.choices.get("experiment"), typed_words()
    named = "experiment" in map(key_of, typed)
    return command("certify", typed if named or not chosen else [f"experiment={chosen}", *typed])


if __name__ == "__main__":
    run(main, texts=FOLDERS)
