"""Any image classifier of transformers, from a folder or the hub."""

import difflib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.classifiers.named import Interpolation, NamedNetwork, chosen_outputs, hub, package, reason, require_colour
from smoothing import SettingError

RESAMPLING: dict[int, Interpolation] = {0: "nearest", 2: "bilinear"}  # Pillow's numbers; others become bicubic
ALIKE = 1e-3  # largest difference between the package's normalised pixels and ours


class Transformers(NamedNetwork):
    """An image classifier of transformers, with its weights and the normalisation and size of its image processor.

    The first layer resizes images to the size that the processor gives the network, without keeping their aspect
    ratio, and normalises them. Noise is added before it, so resizing is part of the base function, and radii are about
    the data set's images, at their size. Images of the network's size are not resized. A processor that crops larger
    photographs does not do so here; let the data set do that, such as `dataset=classes` with `dataset.size`. The
    weights are float32, whatever they are stored as.

    A network with other outputs than the data set's classes is used through `outputs`. If each class folder has the
    name of an output (`id2label`), the outputs are found by name.

    Args:
        num_classes: number of classes; the data set provides it and the next two arguments.
        in_channels: channels of the images; must be 3.
        class_names: the data set's classes, in order of their labels.
        name: a folder that `save_pretrained` of the network and of its image processor wrote; or a name on the hub,
            such as google/vit-base-patch16-224. Code of a repository is never executed.
        weights: own: those of the folder or the hub. random: the same random weights each time, for tests only. None:
            fresh ones, for `train.py` or `checkpoint=`.
        outputs: the network's output for each class, by number, in order of the labels.

    Shape:
        (n, 3, H, W), float, nominally in [0, 1] -> (n, num_classes) scores.

    Raises:
        SettingError: transformers is not installed; there is no such folder or name; its network does not classify
            images, or its weights do not fit; its processor does more than resize and normalise; the outputs do not fit
            the data set's classes; or the images have no colours.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        class_names: Sequence[str],
        name: str,
        weights: str | None = "own",
        outputs: list[int] | None = None,
    ) -> None:
        transformers = package("transformers", "Transformers")
        require_colour("Transformers", in_channels)
        if weights not in ("own", "random", None):
            raise SettingError(f"model.weights: expected own, random or null, got {weights}")
        if weights != "own" and outputs is not None:
            raise SettingError("model.outputs: a network with new weights has the data set's classes; leave it out")
        network, processor = _read(transformers, name, weights, num_classes)
        mean, std = _normalisation(processor, name)
        config: Any = network.config
        labels = [str(config.id2label.get(k, "")) for k in range(config.num_labels)]
        super().__init__(
            network,
            mean,
            std,
            _size(processor),
            RESAMPLING.get(int(processor.to_dict().get("resample") or 3), "bicubic"),
            chosen_outputs(outputs, class_names, labels, config.num_labels, name) if weights == "own" else None,
        )


def _read(transformers: Any, name: str, weights: str | None, num_classes: int) -> tuple[nn.Module, Any]:
    """The network, with its weights, and the image processor."""
    local = Path(name).is_dir()
    if not local and (name.startswith(("/", ".", "~")) or name.count("/") != 1):
        near = [path.name for path in Path(name).parent.glob("*") if path.is_dir()]
        close = difflib.get_close_matches(Path(name).name, near, n=1)
        wanted = "expected one that save_pretrained wrote, or <owner>/<name> on the hub"
        hint = f"did you mean '{Path(name).parent / close[0]}'?" if close else wanted
        raise SettingError(f"model.name: no folder '{name}'; {hint}")
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        with nullcontext() if local else hub():
            processor = transformers.AutoImageProcessor.from_pretrained(name, local_files_only=local)
            return _network(transformers, name, weights, num_classes, local), processor
    except SettingError:
        raise
    except Exception as error:  # of the hub's client, of its network library, of transformers
        raise SettingError(_unread(name, local, error)) from error
    finally:
        if shown:
            bars.enable_progress_bar()


def _network(transformers: Any, name: str, weights: str | None, num_classes: int, local: bool) -> nn.Module:
    kind = transformers.AutoModelForImageClassification
    if weights == "own":
        network: nn.Module
        network, found = kind.from_pretrained(
            name, local_files_only=local, dtype=torch.float32, output_loading_info=True
        )
        if lacking := sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]])):
            raise SettingError(
                f"model.name: the weights of '{name}' do not fit its network ({lacking[0]}); was it trained to "
                "classify images?"
            )
        vars(network).pop("_weight_conversions", None)  # names that only saving needs, and copies cannot hold
        return network
    config = transformers.AutoConfig.from_pretrained(name, local_files_only=local, num_labels=num_classes)
    config.dtype = torch.float32
    with torch.random.fork_rng(devices=[], enabled=weights == "random"):
        if weights == "random":
            torch.manual_seed(0)
        network = kind.from_config(config)
    return network


def _unread(name: str, local: bool, error: Exception) -> str:
    """The message for a folder or a name that transformers cannot read."""
    if local:
        return (
            f"model.name: '{name}' holds no image classifier of transformers ({reason(error)}); expected the files "
            "that save_pretrained of the network and of its image processor wrote"
        )
    code = (
        "from transformers import AutoImageProcessor as P, AutoModelForImageClassification as M; "
        f"[each.from_pretrained('{name}').save_pretrained('network') for each in (P, M)]"
    )
    return (
        f"model.name: {name} cannot be fetched here ({reason(error)}). On a machine with internet, type python -c "
        f'"{code}"; copy the folder here and set model.name=<its path>'
    )


def _size(processor: Any) -> tuple[int, int] | None:
    """Height and width that the processor gives the network; None if it does not change the size."""
    known = processor.to_dict()
    named = known.get("crop_size") if known.get("do_center_crop") else known.get("size")
    if not named or not (known.get("do_resize") or known.get("do_center_crop")):
        return None
    if isinstance(named, int):
        return named, named
    side = named.get("shortest_edge")
    return int(named.get("height", side)), int(named.get("width", side))


def _normalisation(processor: Any, name: str) -> tuple[list[float], list[float]]:
    """Mean and std in [0, 1] pixel units, checked against the processor itself.

    Raises:
        SettingError: the processor does more to images of the network's size than this.
    """
    known = processor.to_dict()
    mean, std = _three(known, "image_mean", 0.0), _three(known, "image_std", 1.0)
    scale = 255 * known.get("rescale_factor", 1 / 255) if known.get("do_rescale", True) else 255.0
    offset = 1.0 if known.get("rescale_offset") else 0.0
    mean, std = [(each + offset) / scale for each in mean], [each / scale for each in std]
    height, width = _size(processor) or (32, 32)
    pixels = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    off = {key: False for key in ("do_resize", "do_center_crop", "do_pad") if key in known}
    expected = processor(pixels, return_tensors="pt", **off)["pixel_values"][0]
    ours = (pixels / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    if expected.shape != ours.shape or not torch.allclose(ours, expected, atol=ALIKE, rtol=ALIKE):
        raise SettingError(
            f"model.name: the image processor of {name}, {type(processor).__name__}, does more than resize and "
            "normalise; write a class of your own that does the same to batches (docs/certify_your_own_model.md)"
        )
    return mean, std


def _three(known: dict[str, Any], key: str, otherwise: float) -> list[float]:
    value = known.get(key) if known.get("do_normalize") else None
    if value is None:
        return [otherwise] * 3
    return [float(value)] * 3 if isinstance(value, int | float) else [float(each) for each in value]
