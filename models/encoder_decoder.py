"""The convolutions shared by the autoencoder and the reconstructor (Kumar and Goldstein 2021, section 5.3)."""

from torch import nn

from smoothing import SettingError

CODE_CHANNELS = 128
SCALE = 4  # an image is this many times as high and as wide as its feature map


def encoder(channels: int) -> nn.Sequential:
    """(b, channels, H, W) -> (b, 128, H / 4, W / 4); H and W are multiples of 4."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(32),
        nn.Conv2d(32, 64, kernel_size=4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, CODE_CHANNELS, kernel_size=4, stride=2, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(CODE_CHANNELS),
    )


def decoder(channels: int) -> nn.Sequential:
    """(b, 128, h, w) -> (b, channels, 4 h, 4 w), in [0, 1]."""
    return nn.Sequential(
        nn.ConvTranspose2d(CODE_CHANNELS, 64, kernel_size=4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, kernel_size=4, stride=2, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(32),
        nn.ConvTranspose2d(32, channels, kernel_size=3, padding=1),
        nn.Sigmoid(),
    )


def code_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The shape of the feature map of an image, (C, H, W).

    Raises:
        SettingError: H or W is not a multiple of 4, so the decoder cannot restore it.
    """
    _, height, width = shape
    if height % SCALE or width % SCALE:
        raise SettingError(
            f"model: expected images whose height and width are multiples of {SCALE}, got {height} x {width}"
        )
    return CODE_CHANNELS, height // SCALE, width // SCALE
