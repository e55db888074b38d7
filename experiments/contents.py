"""What a run's rows are about and its settings do not say: compared where both a run and its folder know it.

It is no part of the identity's hash, so that runs from before it was kept are continued. Other weights, examples or
classes are refused: their rows would be mixed. Another source of the user's model is only said, as a comment is one.
"""

import hashlib
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from experiments.base_functions import needs_checkpoint
from experiments.checkpoints import state_hash
from experiments.data import Dataset, LabelledDataset
from experiments.user_code import code_hash
from smoothing import SmoothingError
from smoothing.inputs import as_tensor


@dataclass(frozen=True)
class Contents:
    """Hashes and names, empty where there is nothing to tell.

    Attributes:
        weights: of a model that brings its own.
        examples: what the data set says of itself (`Dataset.contents`), else the first, middle and last example and all
            labels. Empty where its fingerprint is part of the identity.
        classes: their names, in order of the labels.
        code: of the source of the user's model.
    """

    weights: str = ""
    examples: str = ""
    classes: list[str] = field(default_factory=list)
    code: str = ""

    def record(self) -> dict[str, Any]:
        """For run.json."""
        return {name: value for name, value in asdict(self).items() if value}

    def require_those_of(self, record: dict[str, Any], path: Path) -> None:
        """Compare with a run.json, where both know a thing. Raises SmoothingError where rows would be mixed."""
        another = {
            "weights": "other weights of the model",
            "examples": "other examples: the data set's images or labels have changed",
            "classes": "other classes, or in another order",
        }
        for name, value in self.record().items():
            if record.get(name, value) == value:
                continue
            if name in another:
                raise SmoothingError(
                    f"{path}: its rows are of {another[name]}; move the folder away, or take another results.root"
                )
            print(
                f"{path}: the source of the model has changed since its rows were made; if it computes something else, "
                "take another results.root",
                file=sys.stderr,
            )


def contents(plain: dict[str, Any], dataset: Dataset, model: Any) -> Contents:
    """Those of a run. Raises SettingError where the code of the user's model is in no file."""
    weights = "" if needs_checkpoint(plain) or not isinstance(model, torch.nn.Module) else state_hash(model)
    classes = list(map(str, dataset.classes)) if isinstance(dataset, LabelledDataset) else []
    examples = "" if dataset.content else dataset.contents() or _examples_hash(dataset)
    return Contents(weights, examples, classes, code_hash(plain["model"]))


def _examples_hash(dataset: Dataset) -> str:
    content, indices = hashlib.sha256(), dataset.indices()
    for index in dict.fromkeys([*indices[:1], *indices[len(indices) // 2 :][:1], *indices[-1:]]):
        x = as_tensor(dataset[index])
        content.update(f"{index} {x.dtype} {tuple(x.shape)}".encode())
        content.update(x.detach().cpu().contiguous().numpy().tobytes())
    if isinstance(dataset, LabelledDataset):
        content.update(repr([(index, dataset.label(index)) for index in indices]).encode())
    return content.hexdigest()[:16]
