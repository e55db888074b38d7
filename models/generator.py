"""BigGAN-deep, a generator of ImageNet images, as a base function from latents to images of one class."""

from pathlib import Path

import pytorch_pretrained_biggan as biggan  # type: ignore[import-untyped]
import torch
from pytorch_pretrained_biggan.model import (  # type: ignore[import-untyped]
    PRETRAINED_MODEL_ARCHIVE_MAP,
    WEIGHTS_NAME,
    BigGANBatchNorm,
)
from pytorch_pretrained_biggan.utils import IMAGENET  # type: ignore[import-untyped]
from torch import Tensor, nn

from smoothing import SettingError
from smoothing.user_code import first_line

HUB = PRETRAINED_MODEL_ARCHIVE_MAP["biggan-deep-128"]
POWER_ITERATIONS = 3  # of the spectral normalisation of random weights


class BigGAN(nn.Module):
    """BigGAN-deep for 128 x 128 images of one class of ImageNet (Brock et al. 2019), from pytorch-pretrained-biggan.

    Args:
        weights: where the weights come from. hub is the package's own address, fetched once into torch's cache. A
            path is a folder that contains pytorch_model.bin. random generates noise and is for tests only. run.json
            records this value.
        class_index: ImageNet's index, 0 to 999, or a name that `class_of` finds. 326, the lycaenid butterfly, is the
            result of the authors' `one_hot_from_names(["Butterfly"])`.
        truncation: truncation of the latents, in (0, 1]. It selects the statistics of the batch normalisation.

    Shape:
        (b, 128), float, nominally a standard normal truncated at 2 and scaled by truncation -> (b, 3, 128, 128) in
        [0, 1]. If the network overflows at a latent, its numbers are not finite.

    Raises:
        SettingError: there are no such weights, they belong to another network, or a value is out of its range.
    """

    pretrained = True
    label: Tensor

    def __init__(self, weights: str = "hub", class_index: int | str = 326, truncation: float = 0.5) -> None:
        super().__init__()
        config = biggan.BigGANConfig()  # its defaults are those of the 128 x 128 network
        if isinstance(class_index, str):
            class_index = class_of(class_index)
        if not 0 <= class_index < config.num_classes:
            raise SettingError(f"model.class_index: expected 0 to {config.num_classes - 1}, got {class_index}")
        if not 0 < truncation <= 1:
            raise SettingError(f"model.truncation: expected a number above 0 and at most 1, got {truncation}")
        self.weights, self.truncation = weights, truncation
        self.register_buffer("label", torch.eye(config.num_classes)[class_index], persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = _random(config) if weights == "random" else _pretrained(config, weights)
        self.eval()

    def forward(self, latents: Tensor) -> Tensor:
        images = self.network(latents, self.label.expand(len(latents), -1), self.truncation)
        return (images + 1) / 2


def class_of(name: str) -> int:
    """The ImageNet class of a word, as `pytorch_pretrained_biggan.one_hot_from_names` finds it in WordNet 3.0.

    It is the first noun sense that is a class. If none is, it is the first class among the hypernyms and hyponyms of
    the senses, in the order of their names for each sense. NLTK had this order until version 3.8. Since 3.9 it has no
    order, so the package's result differs from run to run.

    Raises:
        SettingError: NLTK or its WordNet is missing, or WordNet leads to no class.
    """
    try:
        from nltk.corpus import wordnet  # type: ignore[import-not-found]

        senses = [sense for sense in wordnet.synsets(name.replace(" ", "_")) if sense.pos() == "n"]
    except (ImportError, LookupError) as error:
        raise SettingError(
            f"model.class_index: to look {name} up, install NLTK and its WordNet (pip install nltk; python -m "
            "nltk.downloader wordnet); or give ImageNet's index, 0 to 999"
        ) from error
    groups = [group for sense in senses for group in (sense.hypernyms(), sense.hyponyms())]
    for sense in [*senses, *(near for group in groups for near in sorted(group, key=lambda s: str(s.name())))]:
        if sense.offset() in IMAGENET:
            return int(IMAGENET[sense.offset()])
    raise SettingError(f"model.class_index: WordNet leads from {name} to no class of ImageNet; give an index, 0 to 999")


def _pretrained(config: biggan.BigGANConfig, weights: str) -> nn.Module:
    """The network with its weights.

    Raises:
        SettingError: the weights cannot be loaded, or they belong to another network.
    """
    file = Path(weights) / WEIGHTS_NAME
    try:
        if weights == "hub":
            state = torch.hub.load_state_dict_from_url(HUB, map_location="cpu", progress=False, weights_only=True)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises anything
        where = "could not be fetched" if weights == "hub" else f"none that can be read in '{file}'"
        raise SettingError(
            f"model.weights: {where} ({first_line(error)}). Fetch {HUB}, name the file {WEIGHTS_NAME} and set "
            "model.weights=<its folder>"
        ) from error
    network: nn.Module = biggan.BigGAN(config)
    try:  # not strict: the file may hold more than this network, but not less
        missing = network.load_state_dict(state, strict=False).missing_keys
    except (RuntimeError, TypeError, AttributeError) as error:
        raise SettingError(f"model.weights: those in '{weights}' do not fit BigGAN-deep-128") from error
    if missing:
        raise SettingError(f"model.weights: those in '{weights}' do not fit BigGAN-deep-128, without {missing[0]}")
    return network


@torch.no_grad()
def _random(config: biggan.BigGANConfig) -> nn.Module:
    """The network with random weights, for which its activations are finite."""
    network: nn.Module = biggan.BigGAN(config)
    for module in network.modules():
        if isinstance(module, BigGANBatchNorm) and not module.conditional:  # uninitialised memory in the package
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    network.train()
    for _ in range(POWER_ITERATIONS):  # spectral normalisation updates its norms only in training mode
        network(torch.randn(1, config.z_dim), torch.zeros(1, config.num_classes), 1.0)
    return network
