"""Data sets that torchvision reads into memory."""

from typing import Any, Protocol

import torch

from experiments.data.base import Images, MissingDataError


class _Official(Protocol):
    data: Any
    targets: Any

    def __call__(self, root: str, *, train: bool, download: bool) -> "_Official": ...


def torchvision_images(kind: _Official, root: str, folder: str, train: bool, download: bool) -> Images:
    """The training or test images of torchvision's `kind`.

    Args:
        kind: a class of torchvision.datasets.
        root: dataset.root, which holds `folder` in torchvision's layout.
        folder: its name there, for the message.
        train: training or test images.
        download: fetch them if they are not there.

    Raises:
        MissingDataError: they are not there, not whole, or could not be fetched.
    """
    try:
        official = kind(root, train=train, download=download)
    except (RuntimeError, OSError, EOFError) as error:
        failed = f" (the download failed: {str(error).splitlines()[0]})" if download and str(error) else ""
        name = getattr(kind, "__name__", folder)
        raise MissingDataError(
            f"dataset.root: no {name}, or a damaged one, in '{root}/{folder}'{failed}. Set dataset.root=<folder that "
            f"holds {folder}>, fetch it with dataset.download=true, or try the embedded digits: dataset=digits"
        ) from error
    pixels = torch.as_tensor(official.data)
    pixels = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    return Images(pixels, torch.as_tensor(official.targets, dtype=torch.int64))
