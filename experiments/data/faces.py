"""Photographs of faces that ship with scikit-image. No download is needed."""

import skimage.data
import torch
from torch import Tensor
from torch.nn import functional

from experiments.data.base import PIXELS, Dataset

HEIGHT, WIDTH = 218, 178  # CelebA's aligned and cropped format
FACE_SIDE = 125  # side of a 25 x 25 crop after upscaling, which makes its face about as large as CelebA's
LFW_FACES = 100  # skimage's LFW subset has 100 faces, then 100 patches without a face


class Faces(Dataset):
    """101 photographs, 178 x 218: the astronaut portrait (index 0) and the LFW subset's faces (1 to 100).

    The portrait (NASA, public domain) is cropped around the face. The LFW faces (Huang et al. 2007) are 25 x 25 gray
    crops, upscaled (bicubic) to 125 x 125 and centered on a mid-gray canvas, so they are blurred.
    """

    units = PIXELS

    def __init__(self) -> None:
        astronaut = torch.from_numpy(skimage.data.astronaut()[:HEIGHT, 130 : 130 + WIDTH].copy())
        self._portrait = astronaut.permute(2, 0, 1).to(torch.float32) / 255
        self._lfw = torch.from_numpy(skimage.data.lfw_subset()[:LFW_FACES]).to(torch.float32)

    def indices(self) -> list[int]:
        return list(range(1 + LFW_FACES))

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index <= LFW_FACES:
            raise IndexError(f"faces: indices are 0 to {LFW_FACES}, got {index}")
        if index == 0:
            return self._portrait
        face = functional.interpolate(
            self._lfw[index - 1][None, None], size=(FACE_SIDE, FACE_SIDE), mode="bicubic", align_corners=False
        )[0].clamp(0, 1)
        left, top = (WIDTH - FACE_SIDE) // 2, (HEIGHT - FACE_SIDE) // 2
        margins = (left, WIDTH - FACE_SIDE - left, top, HEIGHT - FACE_SIDE - top)
        return functional.pad(face, margins, value=0.5).expand(3, -1, -1).contiguous()
