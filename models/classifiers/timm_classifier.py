"""Any image classifier of timm, by its name."""

import difflib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from models.classifiers.named import Interpolation, NamedNetwork, chosen_outputs, hub, package, reason, require_colour
from smoothing import SettingError


class Timm(NamedNetwork):
    """A classifier of timm, with its weights and its own normalisation and image size.

    The first layer resizes images to the size that the network's configuration names, without keeping their aspect
    ratio, and normalises them. Noise is added before it, so resizing is part of the base function, and radii are about
    the data set's images, at their size. Images of the network's size are not resized. The package's own evaluation
    shrinks and crops larger photographs; let the data set do that: `dataset=imagenet` does, and `dataset=classes` does
    with `dataset.size`.

    A network with other outputs than the data set's classes is used through `outputs`. If each class folder has the
    name of an output, such as the WordNet number n01440764 of ImageNet, the outputs are found by name.

    Args:
        num_classes: number of classes; the data set provides it and the next four arguments.
        in_channels: channels of the images; must be 3.
        mean: of the data set, one number for each channel; used if `normalisation` is "dataset".
        std: of the data set, one number for each channel, > 0.
        class_names: the data set's classes, in order of their labels.
        name: timm's name of the network, with or without the tag of its weights, such as resnet50 or resnet50.a1_in1k;
            hf-hub:<owner>/<name>; or local-dir:<folder> that timm saved.
        weights: hub: those that timm has for this name, fetched once into its cache. A path: a file of
            `network.state_dict()`, saved by torch.save or safetensors. random: the same random weights each time, for
            tests only. None: fresh ones, for `train.py` or `checkpoint=`.
        normalisation: network: mean and std of the network's configuration. dataset: those of the data set, for a
            network that was trained with them.
        size: pixels per side that the network sees. None: as its configuration says.
        outputs: the network's output for each class, by number, in order of the labels.

    Shape:
        (n, 3, H, W), float, nominally in [0, 1] -> (n, num_classes) scores.

    Raises:
        SettingError: timm is not installed; there is no network or no weights of that name; the weights are missing or
            do not fit; the outputs do not fit the data set's classes; or the images have no colours.
    """

    identified_by_files: ClassVar[bool] = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        class_names: Sequence[str],
        name: str,
        weights: str | None = "hub",
        normalisation: Literal["network", "dataset"] = "network",
        size: int | None = None,
        outputs: list[int] | None = None,
    ) -> None:
        timm = package("timm", "Timm")
        require_colour("Timm", in_channels)
        if size is not None and size < 1:
            raise SettingError(f"model.size: expected at least 1 pixel, got {size}")
        _require_name(timm, name)
        network: Any = _made(timm, name, weights, num_classes, size)
        config: dict[str, Any] = timm.data.resolve_model_data_config(network)
        own = normalisation == "network"
        fresh = weights in (None, "random")
        if fresh and outputs is not None:
            raise SettingError("model.outputs: a network with new weights has the data set's classes; leave it out")
        super().__init__(
            network,
            config["mean"] if own else mean,
            config["std"] if own else std,
            config["input_size"][1:] if size is None else (size, size),
            _interpolation(config["interpolation"]),
            None if fresh else chosen_outputs(outputs, class_names, _labels(timm, network), network.num_classes, name),
        )


def _require_name(timm: Any, name: str) -> None:
    """Raises SettingError, with the most similar name, if timm has no network or no weights of that name."""
    if ":" in name:
        return  # on the hub, or in a folder
    architecture, _, tag = name.partition(".")
    if "/" in name or not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models(), n=1)
        known = f"did you mean {close[0]}?" if close else "python -c 'import timm; print(timm.list_models())' lists all"
        if "/" in name:
            known = f"for one on the hub type model.name=hf-hub:{name}, for a folder model.name=local-dir:{name}"
        raise SettingError(f"model.name: timm has no network {name}; {known}")
    tags = [each.partition(".")[2] for each in timm.list_models(f"{architecture}.*", pretrained=True)]
    if tag and tag not in tags:
        close = difflib.get_close_matches(tag, tags, n=1)
        known = f"did you mean {architecture}.{close[0]}?" if close else f"known: {', '.join(tags) or 'none'}"
        raise SettingError(f"model.name: timm has no weights {tag} for {architecture}; {known}")


def _made(timm: Any, name: str, weights: str | None, num_classes: int, size: int | None) -> nn.Module:
    """The network with its weights. Raises SettingError if they are missing or do not fit."""
    sized = {"img_size": size} if size is not None and _has_one_size(timm, name) else {}
    try:
        if weights == "hub":
            return _fetched(timm, name, sized)
        if weights is not None and weights != "random":
            return _loaded(timm, name, Path(weights), num_classes, sized)
        with torch.random.fork_rng(devices=[], enabled=weights == "random"):
            if weights == "random":
                torch.manual_seed(0)
            network: nn.Module = timm.create_model(name, num_classes=num_classes, **sized)
        return network
    except SettingError:
        raise
    except Exception as error:  # timm's networks refuse arguments in their own ways, and configurations may be damaged
        if weights in (None, "hub", "random"):
            raise SettingError(f"model: timm cannot make {name} ({reason(error)})") from error
        raise SettingError(f"model.weights: '{weights}' cannot be loaded into {name} ({reason(error)})") from error


def _fetched(timm: Any, name: str, sized: dict[str, int]) -> nn.Module:
    local = name.startswith("local-dir:")
    try:
        with nullcontext() if local else hub():
            network: nn.Module = timm.create_model(name, pretrained=True, **sized)
    except Exception as error:  # of the hub's client, of its network library, of timm
        if local:
            raise SettingError(f"model.name: '{name}' holds no network that timm saved ({reason(error)})") from error
        if "No pretrained weights exist" in str(error):
            raise SettingError(f"model.weights: timm has none for {name}; set model.weights=<your file>") from error
        code = (
            f"import timm, torch; torch.save(timm.create_model('{name}', pretrained=True).state_dict(), 'weights.pt')"
        )
        raise SettingError(
            f"model.weights: those of {name} cannot be fetched here ({reason(error)}). On a machine with internet, "
            f'type python -c "{code}"; copy weights.pt here and set model.weights=weights.pt'
        ) from error
    return network


def _loaded(timm: Any, name: str, file: Path, num_classes: int, sized: dict[str, int]) -> nn.Module:
    """The network with the weights of a file, and as many outputs as these have. Code in the file is never executed."""
    if not file.is_file():
        near = [path.name for path in file.parent.glob("*")] if file.parent.is_dir() else []
        close = difflib.get_close_matches(file.name, near, n=1)
        hint = (
            f"did you mean '{file.parent / close[0]}'?" if close else "expected hub, random, null or a file of weights"
        )
        raise SettingError(f"model.weights: no file '{file}'; {hint}")
    try:
        state: dict[str, Tensor] = timm.models.load_state_dict(str(file), weights_only=True)
        if not state or not all(isinstance(value, Tensor) for value in state.values()):
            raise TypeError("it holds more than tensors")
    except (
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        OSError,
        RuntimeError,
        SafetensorError,
        TypeError,
        UnpicklingError,
        ValueError,
    ) as error:
        raise SettingError(
            f"model.weights: '{file}' is not a file of tensors that can be read without executing code; save "
            "network.state_dict() with torch.save or safetensors"
        ) from error
    rows = _rows(timm.create_model(name, **sized), state)
    network: nn.Module = timm.create_model(name, num_classes=rows or num_classes, **sized)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        shown = lines[0][:200] if lines else reason(error)
        raise SettingError(f"model.weights: '{file}' does not fit {name}: {shown}") from error
    return network


def _rows(network: nn.Module, state: dict[str, Tensor]) -> int | None:
    """Number of outputs of a file's weights: rows of its last layer, by the name that timm's configuration has."""
    named: Any = getattr(network, "pretrained_cfg", {}).get("classifier") or ()
    for layer in (named,) if isinstance(named, str) else named:
        if f"{layer}.weight" in state:
            return int(state[f"{layer}.weight"].shape[0])
    return None


def _has_one_size(timm: Any, name: str) -> bool:
    """Whether the network, such as a vision transformer, must be told the size of its images."""
    config = None if ":" in name else timm.models.get_pretrained_cfg(name, allow_unregistered=True)
    return bool(getattr(config, "fixed_input_size", False))


def _labels(timm: Any, network: Any) -> list[str]:
    """The names of a network's outputs: its own, or the WordNet numbers of ImageNet. Empty if unknown."""
    if own := network.pretrained_cfg.get("label_names"):
        return [str(each) for each in own]
    subset = timm.data.infer_imagenet_subset(network)
    return list(timm.data.ImageNetInfo(subset).label_names()) if subset else []


def _interpolation(named: str) -> Interpolation:
    return named if named in ("nearest", "bilinear") else "bicubic"  # type: ignore[return-value]
