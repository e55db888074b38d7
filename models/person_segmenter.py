"""MediaPipe's selfie segmentation network as a base function: which cells of a photograph show a person."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from smoothing import BaseFunctionError, SettingError
from smoothing.user_code import first_line

SIDE = 256  # pixels of the network's input
FILE = "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"
GET = "pip install --no-deps mediapipe==0.10.21"


class PersonSegmenter(nn.Module):
    """The network for portraits in MediaPipe 0.10.21 (Google, Apache-2.0; 249 KB), run by LiteRT on the CPU.

    It was trained without noise. Only its file is taken from the package, which need not be importable.

    Args:
        weights: path of a .tflite file with the same input and output. null: the one in the package mediapipe.
        side: cells in a row and a column of a mask; must divide 256.

    Shape:
        (b, 3, H, W), float, nominally in [0, 1] -> (b, 1, side, side) masks, bool: whether the mean probability of a
        person in the cell is above 1/2. Images of another size than 256 x 256 are resized first (bilinear,
        antialiased), which is part of the function. Row i depends only on image i.

    Raises:
        SettingError: LiteRT or the file is missing, the file is of another network, or side does not divide 256.
        BaseFunctionError: the images are not colour images.
    """

    pretrained = True
    network: Tensor

    def __init__(self, weights: str | None = None, side: int = 64) -> None:
        super().__init__()
        if side < 1 or SIDE % side:
            raise SettingError(f"model.side: expected a divisor of {SIDE}, got {side}")
        self.side = side
        content = np.frombuffer(_file(weights).read_bytes(), dtype=np.uint8).copy()
        self.register_buffer("network", torch.from_numpy(content))  # so that a run's identity knows the weights
        self._interpreters: dict[int, Any] = {}
        self._interpreter(1)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        if images.dim() != 4 or images.shape[1] != 3:
            raise BaseFunctionError(f"person segmenter: expected images (n, 3, H, W), got {tuple(images.shape)}")
        if images.shape[2:] != (SIDE, SIDE):
            images = nn.functional.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True)
        interpreter = self._interpreter(len(images))
        pixels = images.detach().permute(0, 2, 3, 1).to("cpu", torch.float32).contiguous()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels.numpy())
        interpreter.invoke()
        found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        person = torch.from_numpy(found).permute(0, 3, 1, 2).to(images.device)
        cell = SIDE // self.side
        return nn.functional.avg_pool2d(person, cell) > 0.5

    def _interpreter(self, batch: int) -> Any:
        """LiteRT's interpreter for a batch size, made once."""
        if batch not in self._interpreters:
            self._interpreters.clear()  # batches have one size, but for the last
            self._interpreters[batch] = _prepared(bytes(self.network.cpu().numpy()), batch)
        return self._interpreters[batch]

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the interpreters, which cannot be copied and are made again."""
        return {**self.__dict__, "_interpreters": {}}


def _file(weights: str | None) -> Path:
    if weights is not None:
        if not Path(weights).is_file():
            raise SettingError(f"model.weights: no file '{weights}'; leave it out to use that of mediapipe ({GET})")
        return Path(weights)
    try:
        path = Path(str(distribution("mediapipe").locate_file(FILE)))
    except PackageNotFoundError:
        raise SettingError(f"model: PersonSegmenter needs a file of the package mediapipe: {GET}") from None
    if not path.is_file():
        raise SettingError(f"model: this mediapipe has no {FILE}: {GET}")
    return path


def _prepared(content: bytes, batch: int) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise SettingError(
            f"model: PersonSegmenter needs the package {error.name}: pip install --no-deps ai-edge-litert"
        ) from error
    try:
        interpreter = Interpreter(model_content=content, num_threads=torch.get_num_threads())
        given = [int(size) for size in interpreter.get_input_details()[0]["shape"][1:]]
        made = [int(size) for size in interpreter.get_output_details()[0]["shape"][1:]]
        if (given, made) != ([SIDE, SIDE, 3], [SIDE, SIDE, 1]):
            raise ValueError(f"it takes {given} and returns {made}")
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [batch, SIDE, SIDE, 3])
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise SettingError(
            f"model.weights: expected MediaPipe's selfie segmentation network ({first_line(error)})"
        ) from error
    return interpreter
