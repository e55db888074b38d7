"""An ensemble of trained classifiers (Horvath et al. 2022, "Boosting Randomized Smoothing ...")."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from models.classifiers.inner import inner_classifier
from smoothing import SettingError

VOTES = ("soft", "hard")


class Ensemble(nn.Module):
    """The mean of several networks' scores, as one base classifier.

    Their errors under noise partly cancel, so the scores vary less and more of the noisy copies have the same class.
    One evaluation costs as much as one of each network.

    Args:
        num_classes: number of classes; the data set provides it and the next three arguments.
        in_channels: channels of the images.
        mean: of the normalisation, one number for each channel.
        std: of the normalisation, one number for each channel, > 0.
        member: the networks' class, as `_target_`, and its own arguments.
        weights: the weights of each network, at least one: a folder that train.py wrote, or its weights.safetensors.
            Their contents are part of a run's identity.
        votes: soft: the mean of the networks' scores, before softmax, as in the paper (section 4). hard: the share of
            the networks with that class. A copy at which a network has a score of NaN or inf counts for no class.

    Shape:
        (n, in_channels, H, W), float, nominally in [0, 1] -> (n, num_classes).

    Raises:
        SettingError: there is no such class or file, the weights do not fit, or `votes` is unknown.
    """

    pretrained: ClassVar[bool] = True
    identified_by_files: ClassVar[bool] = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        member: dict[str, Any],
        weights: Sequence[str],
        votes: str = "soft",
    ) -> None:
        super().__init__()
        if votes not in VOTES:
            raise SettingError(f"model.votes: expected soft or hard, got {votes}")
        if isinstance(weights, str) or not len(weights):
            raise SettingError("model.weights: expected a list of at least one folder that train.py wrote")
        self.votes = votes
        self.members = nn.ModuleList()
        for place in weights:
            network = inner_classifier("model.member", member, num_classes, in_channels, mean, std)
            _load(network, place)
            self.members.append(network)

    def forward(self, images: Tensor) -> Tensor:
        scores = torch.stack([network(images) for network in self.members])
        if self.votes == "hard":
            no_class = ~(scores < torch.inf).all(dim=2, keepdim=True)  # NaN or inf: not hidden behind the other votes
            scores = functional.one_hot(scores.argmax(dim=2), scores.shape[2]).to(scores.dtype)
            scores = scores.masked_fill(no_class, torch.nan)
        return scores.mean(dim=0)


def _load(network: nn.Module, place: str) -> None:
    file = Path(place) / "weights.safetensors" if Path(place).is_dir() else Path(place)
    try:
        network.load_state_dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise SettingError(f"model.weights: '{file}' is missing, or not a file that train.py wrote") from error
    except RuntimeError as error:
        shown = str(error).splitlines()[1].strip()[:200]
        raise SettingError(f"model.weights: '{file}' does not fit {type(network).__name__}: {shown}") from error
