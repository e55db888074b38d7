"""Translates layer names of the authors' released checkpoints to the names in our networks with the same layers."""

import re
from collections.abc import Mapping

from torch import Tensor, nn

from models.classifiers.resnet50 import ResNet50
from models.classifiers.resnet_cifar import ProjectedResNet
from models.classifiers.wide_resnet import WideResNet
from smoothing import SettingError

WRAPPERS = ("module.", "model.")  # from torch.nn.DataParallel, and from the class of the DSSN authors
# Cohen et al. use a torch.nn.Sequential of a normalising layer (0) and the network (1).
NORMALISATION, NETWORK = ("norm.", "0."), "1."
LAYERS: dict[type[nn.Module], dict[str, str]] = {
    ProjectedResNet: {
        "conv1": "residual.0",
        "bn1": "residual.1",
        "conv2": "residual.3",
        "bn2": "residual.4",
        "downsample.0": "shortcut.0",
        "downsample.1": "shortcut.1",
    },
    WideResNet: {
        "bn1": "activate.0",
        "conv1": "residual.0",
        "bn2": "residual.1",
        "conv2": "residual.3",
        "convShortcut": "project",
    },
}
BLOCK = re.compile(r"(?:layer|block)(?P<stage>[123])(?:\.layer)?\.(?P<number>\d+)\.(?P<layer>.+)\.(?P<kind>\w+)")


def translated(model: nn.Module, released: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Translate a released state to our names.

    Args:
        model: `ProjectedResNet` (bearpaw/pytorch-classification, Cohen et al.), `WideResNet` (Levine and Feizi 2021) or
            `ResNet50` (torchvision). Only its class and depth are used.
        released: tensors by the authors' names. Unknown names stay unchanged.

    Returns:
        The tensors by our names, and those of a normalisation by the authors' names (`mu`, `log_sig`, ...).

    Raises:
        SettingError: we know no released weights of this network.
    """
    if not isinstance(model, ProjectedResNet | WideResNet | ResNet50):
        raise SettingError(
            f"model: released weights are known of ProjectedResNet, WideResNet and ResNet50, not of "
            f"{type(model).__name__}"
        )
    own, normalisation = {}, {}
    for name, value in released.items():
        if name.startswith(NORMALISATION):
            normalisation[name.rpartition(".")[2]] = value
        else:
            own[_own_name(model, _unwrapped(name))] = value
    return own, normalisation


def _unwrapped(name: str) -> str:
    for wrapper in (NETWORK, *WRAPPERS, *WRAPPERS):
        name = name.removeprefix(wrapper)
    return name


def _own_name(model: ProjectedResNet | WideResNet | ResNet50, name: str) -> str:
    if isinstance(model, ResNet50):
        return f"network.{name}"
    first = 4 if isinstance(model, ProjectedResNet) else 2  # index of the first block in `features`
    blocks = sum(hasattr(layer, "residual") for layer in model.features)
    norm = 2 if first == 4 else first + blocks  # the batch normalisation outside all blocks
    ends = {"conv1": "features.1", "bn1": f"features.{norm}", "fc": "classify"}
    layer, _, kind = name.rpartition(".")
    if layer in ends:
        return f"{ends[layer]}.{kind}"
    found = BLOCK.fullmatch(name)
    inside = LAYERS[type(model)].get(found["layer"]) if found else None
    if not found or not inside or int(found["number"]) >= blocks // 3:
        return name
    place = first + (int(found["stage"]) - 1) * (blocks // 3) + int(found["number"])
    return f"features.{place}.{inside}.{found['kind']}"
