"""CIFAR-10 for networks whose authors prepare it otherwise than Cohen et al. do."""

from experiments.data.cifar10 import CIFAR10
from smoothing import SettingError


class CIFAR10Preprocessed(CIFAR10):
    """CIFAR-10 whose classifiers begin with another normalisation, (x - mean) / std.

    With one std for all channels, noise of sigma and a radius r here, in [0, 1] pixel units, are noise of sigma / std
    and a radius r / std in the coordinates of an author who normalises before noise is added.

    Args:
        mean: per channel, in [0, 1] pixel units.
        std: the same, > 0.
        root: see `CIFAR10`, as the others.
        download: see there.
        step: see there; 1, the whole test set, by default.

    Raises:
        SettingError: not three numbers each.
        MissingDataError: as `CIFAR10`.
    """

    def __init__(
        self, mean: list[float], std: list[float], root: str = "data", download: bool = False, step: int = 1
    ) -> None:
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise SettingError(f"dataset.mean, dataset.std: expected three numbers each, std > 0, got {mean}, {std}")
        super().__init__(root, download, step)
        self.mean, self.std = tuple(mean), tuple(std)  # type: ignore[assignment]
