"""CIFAR-10 for networks that expect another normalisation than Cohen et al.'s."""

from experiments.data.cifar10 import CIFAR10
from smoothing import SettingError


class CIFAR10Preprocessed(CIFAR10):
    """CIFAR-10 with another normalisation, (x - mean) / std, as the classifier's first layer.

    Here sigma and radii are in [0, 1] pixel units. Some authors normalise before they add noise. If all channels share
    one std, sigma and r here correspond to sigma / std and r / std in those authors' units.

    Args:
        mean: mean of each channel, in [0, 1] pixel units.
        std: standard deviation of each channel, in the same units, > 0.
        root: see `CIFAR10`.
        download: see `CIFAR10`.
        step: see `CIFAR10`. The default, 1, certifies the whole test set.

    Raises:
        SettingError: mean or std is not three numbers, or a std is not positive.
        MissingDataError: as `CIFAR10`.
    """

    def __init__(
        self, mean: list[float], std: list[float], root: str = "data", download: bool = False, step: int = 1
    ) -> None:
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise SettingError(f"dataset.mean, dataset.std: expected three numbers each, std > 0, got {mean}, {std}")
        super().__init__(root, download, step)
        self.mean, self.std = tuple(mean), tuple(std)  # type: ignore[assignment]
