"""What networks from timm and transformers share: their first layer, the outputs that are used, and the hub."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.classifiers.normalised import Normalisation
from smoothing import SettingError
from smoothing.user_code import first_line

Interpolation = Literal["nearest", "bilinear", "bicubic"]
PATIENCE = 5.0  # seconds in which the hub must answer
SHOWN = 160  # characters of a package's own message


class NamedNetwork(nn.Module):
    """A network that a package makes: images are resized and normalised, and the outputs of the classes are selected.

    Args:
        network: the package's network, (n, 3, H', W') -> scores (n, network's classes), or an object with `logits`.
        mean: of the normalisation, three numbers in [0, 1] pixel units.
        std: of the normalisation, three numbers > 0.
        size: height and width H', W' that the network sees. None: that of the images.
        interpolation: how images of another size are resized, with antialiasing.
        outputs: the network's output for each class, by number. None: all of them, in order.

    Shape:
        (n, 3, H, W), float, nominally in [0, 1] -> (n, num_classes) scores.
    """

    outputs: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        size: tuple[int, int] | None,
        interpolation: Interpolation,
        outputs: Sequence[int] | None,
    ) -> None:
        super().__init__()
        self.size, self.interpolation = size, interpolation
        self.normalise = Normalisation(mean, std)
        self.network = network
        self.register_buffer("outputs", None if outputs is None else torch.tensor(outputs), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        scores: Any = self.network(self.normalise(self._resized(images)))
        scores = getattr(scores, "logits", scores)
        return scores if self.outputs is None else scores[:, self.outputs]

    def _resized(self, images: Tensor) -> Tensor:
        if self.size is None or images.dim() != 4 or images.shape[2:] == self.size:
            return images
        if self.interpolation == "nearest":
            return functional.interpolate(images, self.size, mode="nearest-exact")
        return functional.interpolate(images, self.size, mode=self.interpolation, antialias=True)


def require_colour(network: str, in_channels: int) -> None:
    """Raises SettingError if the images are not of three channels."""
    if in_channels != 3:
        raise SettingError(f"model: {network} takes colour images, not images of {in_channels} channel(s)")


def chosen_outputs(
    outputs: Sequence[int] | None, class_names: Sequence[str], labels: Sequence[str], count: int, network: str
) -> list[int] | None:
    """The network's output for each class of the data set. None: all of them, in order.

    Args:
        outputs: what the user chose, if anything.
        class_names: of the data set, in order of its labels.
        labels: the network's names of its outputs, in order; empty if it names none. If each class of the data set has
            one of these names, the classes are matched by name.
        count: number of the network's outputs. Without matching names it must be the number of classes.
        network: the network's name, for messages.

    Raises:
        SettingError: `outputs` does not name one output for each class, or the numbers differ.
    """
    classes = len(class_names)
    if outputs is not None:
        if len(set(outputs)) != classes or len(outputs) != classes or not all(0 <= k < count for k in outputs):
            raise SettingError(
                f"model.outputs: expected {classes} different numbers from 0 to {count - 1}, one for each class of the "
                f"data set in the order of its labels, got {list(outputs)}"
            )
        return list(outputs)
    named = _by_name(labels)
    found = [named.get(_plain(name), -1) for name in class_names]
    if min(found, default=-1) >= 0 and len(set(found)) == classes:
        return None if found == list(range(count)) else found
    if count == classes:
        return None
    such_as = f" (the network's are such as '{labels[0]}')" if labels else ""
    raise SettingError(
        f"model: {network} has {count} outputs, and the data set has {classes} classes. Name the class folders as the "
        f"network names its outputs{such_as}, or type model.outputs=[<the output of each class>]"
    )


def _by_name(labels: Sequence[str]) -> dict[str, int]:
    """Outputs by name, and by the first of several names ("tench, Tinca tinca"); -1 if two outputs have that name."""
    found: dict[str, int] = {}
    for k, label in enumerate(labels):
        for name in {_plain(label), _plain(label.partition(",")[0])}:
            found[name] = k if found.get(name, k) == k else -1
    return found


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", " ").replace("-", " ")


def package(name: str, network: str) -> Any:
    """An optional package. Raises SettingError, with what to type, if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else name
        raise SettingError(f"model: {network} needs the package {missing}; type: pip install {name}") from error


class NoAnswerError(Exception):
    """The hub did not answer."""


@contextmanager
def hub() -> Iterator[None]:
    """Ask the hub once whether it is there. If not, packages use their caches at once, without retrying for minutes.

    Raises:
        NoAnswerError: it is not, and what was asked for is not in the caches.
    """
    constants: Any = importlib.import_module("huggingface_hub.constants")
    before = constants.HF_HUB_OFFLINE
    try:
        constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT)
        yield
    except OSError as error:
        if constants.HF_HUB_OFFLINE:
            raise NoAnswerError("the hub does not answer, and its cache has nothing of this name") from error
        raise
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(address: str) -> bool:
    try:
        importlib.import_module("huggingface_hub.utils").get_session().head(address, timeout=PATIENCE)
    except Exception:  # no network, no such host, a proxy that refuses: each package has its own errors
        return False
    return True


def reason(error: BaseException) -> str:
    """The first line of a package's message, or the error's name."""
    line = first_line(error)
    return line if len(line) <= SHOWN else f"{line[:SHOWN].rstrip()} ..."
