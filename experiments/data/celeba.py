"""CelebA, in the layout that torchvision keeps it in."""

import numpy as np
from torch import Tensor
from torchvision.datasets import CelebA as TorchvisionCelebA
from torchvision.transforms.functional import to_tensor

from experiments.data.base import Dataset, MissingDataError


class CelebA(Dataset):
    """Random test images of CelebA (Liu et al. 2015), aligned and cropped, 178 x 218.

    Args:
        root: folder that holds `celeba/` in torchvision's layout.
        count: how many test images, drawn without replacement.
        seed: of that draw.

    Raises:
        MissingDataError: the images or their lists are not under `root`.
    """

    def __init__(self, root: str, count: int = 50, seed: int = 0) -> None:
        try:
            self._test = TorchvisionCelebA(root, split="test", target_type="identity", download=False)
        except (RuntimeError, OSError) as error:
            raise MissingDataError(
                f"dataset.root: no CelebA in '{root}/celeba'. Put img_align_celeba/ and the five list files "
                "(list_attr_celeba.txt, identity_CelebA.txt, list_bbox_celeba.txt, list_landmarks_align_celeba.txt, "
                "list_eval_partition.txt) there, or set dataset.root=<folder that holds celeba/>. "
                "Without CelebA, try the embedded photographs: dataset=faces"
            ) from error
        self.count, self.seed = count, seed

    def indices(self) -> list[int]:
        chosen = np.random.default_rng(self.seed).choice(
            len(self._test), min(self.count, len(self._test)), replace=False
        )
        return [int(index) for index in chosen]

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < len(self._test):
            raise IndexError(f"celeba: the test split has indices 0 to {len(self._test) - 1}, got {index}")
        return to_tensor(self._test[index][0])
