"""Convert a network that the papers' authors released into a checkpoint of this suite.

python -m experiments.training.import_checkpoint checkpoint.pth.tar experiment=cifar10_gaussian noise.sigma=0.25
python -m experiments.training.import_checkpoint model_ckpt.torch experiment=cifar10_dssn trainer.stability=6

It reads files of Cohen et al. (ResNet-110, ResNet-20, ResNet-50) and of Levine and Feizi (WideResNet-40-2). These files
do not say how a network was trained and under which noise, so you give both in the command. The checkpoint records that
it was imported. At the end, the command that certifies it is printed.
"""

import base64
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn

from experiments.config.check import checked
from experiments.config.command_line import CONF
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.config.user_code import targets
from experiments.data import LabelledDataset
from experiments.data.base import require_dataset
from experiments.runs.provenance import provenance
from experiments.training import checkpoints
from experiments.training.base_function import new_model, new_noise
from models.classifiers.released import translated
from smoothing import DeterministicSplitting, Noise, SettingError, SmoothingError

ALIKE = 1e-5  # relative tolerance: the authors store the logarithm of the standard deviation in float32
UNUSED = "num_batches_tracked"  # a buffer of batch normalisation; older releases lack it, and evaluation ignores it


def import_checkpoint(file: Path, settings: Settings) -> Path:
    """Convert a released file into a checkpoint, and return its folder. Code in the file is never executed.

    Args:
        file: the authors' file: a state dictionary, or {"state_dict": one, "arch": ..., "epoch": ...}.
        settings: the data set, the network, and the noise and trainer as the user states them.

    Raises:
        SettingError: the file cannot be read, or is of another network or normalisation.
        MissingDataError: the data set is missing; its normalisation and classes are needed.
    """
    arch, state = _read(file)
    dataset = require_dataset(settings.dataset.build())
    model = new_model(settings, dataset)
    own, normalisation = translated(model, state)
    _require_normalisation(file, normalisation, dataset)
    _put(file, arch, own, model)
    content = checkpoints.weights_hash(file)
    trained_as = checkpoints.trained_as(settings, dataset)
    noise = new_noise(settings, dataset) if trained_as["noise"] else None
    stated = {key: value for key, value in trained_as["trainer"].items() if key not in ("seed", "precision")}
    trained_as["trainer"] = stated | {"type": "Imported", "file": content}
    folder = checkpoints.folder_of(trained_as, settings)
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {
        "trained_as": trained_as,
        "num_classes": len(dataset.classes),
        "noise_state": _released_state(noise) if noise else {},
        "imported_from": file.name,
        "released_arch": arch,
        "normalisation_in_file": bool(normalisation),
        **provenance(targets(settings.as_dict())),
    }
    checkpoints.save(folder, model, metadata)
    return folder


def _read(file: Path) -> tuple[str | None, dict[str, Tensor]]:
    """The network's name in the file, if any, and the tensors."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise SettingError(f"{file}: no such file; expected weights that the authors released") from error
    except Exception as error:  # a damaged pickle raises anything
        raise SettingError(
            f"{file}: damaged, or holds more than tensors, whose code is never executed; download it again"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not state or not all(isinstance(each, Tensor) for each in state.values()):
        raise SettingError(f"{file}: expected a state dictionary, by itself or under the key state_dict")
    arch = content.get("arch")
    return str(arch) if isinstance(arch, str) else None, {str(name): value for name, value in state.items()}


def _require_normalisation(file: Path, found: dict[str, Tensor], dataset: LabelledDataset) -> None:
    """Raises SettingError if means or standard deviations in the file differ from the data set's."""
    for name, value in found.items():
        kind = {"mu": "mean", "means": "mean", "mean": "mean", "log_sig": "std", "sds": "std", "std": "std"}.get(name)
        if kind is None:
            raise SettingError(f"{file}: expected mean and std as the normalisation's parameters, got {name}")
        numbers = (value.double().exp() if name == "log_sig" else value.double()).flatten()
        wanted = torch.tensor(getattr(dataset, kind), dtype=torch.float64)
        if numbers.shape != wanted.shape or not torch.allclose(numbers, wanted, rtol=ALIKE, atol=0):
            raise SettingError(
                f"{file}: normalises with {kind} {[round(x, 4) for x in numbers.tolist()]}, and "
                f"{type(dataset).__name__} with {wanted.tolist()}; choose the data set that the network was trained on"
            )


def _put(file: Path, arch: str | None, own: dict[str, Tensor], model: nn.Module) -> None:
    """Load the weights into the model; names and shapes must match."""
    expected = model.state_dict()
    kept = {name for name in expected if name.rpartition(".")[2] in ("mean", "std", UNUSED)}
    what = f"{file}: holds {arch or 'another network'}, not {type(model).__name__} as configured"
    for name, value in expected.items():
        if name not in own and name not in kept:
            raise SettingError(f"{what} (it lacks {name}); choose its network, such as model=resnet20")
        if name in own and own[name].shape != value.shape:
            raise SettingError(
                f"{what} ({name} is {tuple(own[name].shape)}, not {tuple(value.shape)}); set its network and data set"
            )
    if unknown := sorted(set(own) - set(expected)):
        raise SettingError(f"{what} (it also holds {unknown[0]}); choose its network, such as model=resnet110")
    if broken := [name for name, value in own.items() if not value.isfinite().all()]:
        raise SettingError(f"{file}: {broken[0]} holds numbers that are not finite; download it again")
    model.load_state_dict(expected | own)


def _released_state(noise: Noise) -> dict[str, Any]:
    """The state of the noise as in the authors' code.

    Levine and Feizi draw the offsets of deterministic splitting noise from numpy's RandomState(seed).
    """
    if isinstance(noise, DeterministicSplitting):
        state = noise.state()
        drawn = np.random.RandomState(noise.seed).randint(state["steps"], size=int(np.prod(state["shape"])))
        offsets = base64.b64encode(drawn.astype("<i4").tobytes()).decode()  # in the format of `noise.state`
        noise.restore(state | {"offsets": offsets})
    return noise.state()


def main() -> None:
    if len(sys.argv) < 2 or "=" in sys.argv[1] or sys.argv[1].startswith("-"):
        sys.exit(str(__doc__))
    file, typed = Path(sys.argv[1]), sys.argv[2:]
    if options := [word for word in typed if word.startswith("-")]:
        sys.exit(
            f"import_checkpoint: {options[0]} is no key; it reads the suite's experiments only. certify.py takes a "
            "file of weights of your own network as it is: checkpoint=<file>"
        )
    register()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            settings = checked(compose("train", typed), Settings)
        folder = import_checkpoint(file, settings)
    except (SmoothingError, HydraException, OmegaConfBaseException) as error:
        sys.exit(f"import_checkpoint: {str(error).partition(chr(10))[0]}")
    metadata = checkpoints.read(folder)
    noise = metadata["trained_as"]["noise"] or {"type": "none"}
    said = ", ".join(str(value) if key == "type" else f"{key}={value}" for key, value in noise.items())
    print(f"the file does not name the noise of training; recorded from your command: {said}")
    if not metadata["normalisation_in_file"]:
        print("the file holds no normalisation; the network gets that of the data set")
    kept = " ".join(text for text in typed if not text.startswith("checkpoints."))
    print(f"next: python certify.py {kept} checkpoint={folder}")


if __name__ == "__main__":
    main()
