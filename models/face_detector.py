"""The pre-trained MTCNN face detector as a base function: it maps a batch of images to one box for each image.

Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks" (2016), with the
weights that ship inside the facenet-pytorch wheel. `facenet_pytorch.MTCNN.detect` spends its time cropping and
resizing one candidate after another. This module crops and resizes the candidates of a whole batch at once, and runs
the networks channels-last. The boxes equal those of `MTCNN.detect` on each image alone (`tests/models`).

If several candidates cover a whole small image, the last network sees the same pixels, so their scores are equal. Like
`detect`, this module takes the last of equal scores. `detect` sorts with `numpy.argsort`, whose order of equal scores
depends on the processor. With AVX-512, it takes another of the equal scores for about one box in 200 of a tight
160-pixel crop.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import nms

from smoothing import BaseFunctionError, SettingError

PIXEL_CENTER, PIXEL_SCALE = 127.5, 0.0078125  # the networks' input is (pixel - 127.5) / 128 for pixels in 0..255
PROPOSAL_CELL, PROPOSAL_STRIDE = 12, 2  # P-Net looks at 12x12 windows, 2 pixels apart
CROP_PIXELS_CPU, CROP_PIXELS = 128 * 24**2, 2048 * 24**2  # at once in R-Net and O-Net: a cache; else memory


class _AreaResize:
    """Area interpolation of windows of a batch of images, from one table of sums over upper-left rectangles.

    The mean over a rectangle of any size takes four look-ups, so windows of all sizes are resized at once. The table is
    float64, so the means equal those of `interpolate(mode="area")` up to float32 rounding.
    """

    def __init__(self, images: Tensor) -> None:
        n, self.channels, self.height, self.width = images.shape
        table = images.new_zeros(n, self.height + 1, self.width + 1, self.channels, dtype=torch.float64)
        table[:, 1:, 1:] = images.permute(0, 2, 3, 1)
        self.dtype = images.dtype
        self.table = table.cumsum_(dim=1).cumsum_(dim=2)

    def whole(self, size: tuple[int, int]) -> Tensor:
        """All whole images, resized: (n, C, *size). Rows and columns are summed in turn, which needs fewer look-ups."""
        start = torch.zeros(1, dtype=torch.long, device=self.table.device)
        extents = (self.height, self.width)
        (top, bottom), (left, right) = (self._cells(start, start + e, n) for e, n in zip(extents, size, strict=True))
        bands = self.table.index_select(1, bottom).sub_(self.table.index_select(1, top))
        total = bands.index_select(2, right).sub_(bands.index_select(2, left)).flatten(2)
        return self._means(total, (bottom - top)[None], (right - left)[None])

    def __call__(self, image: Tensor, corner: Tensor, extent: Tensor, size: tuple[int, int]) -> Tensor:
        """Windows of the images numbered `image` (N,), resized: (N, C, *size).

        Args:
            image: number of each window's image, (N,).
            corner: (y, x) of its first pixel, (N, 2).
            extent: (height, width) in pixels, (N, 2).
            size: (h, w) after resizing.
        """
        (top, bottom), (left, right) = (
            self._cells(corner[:, axis, None], extent[:, axis, None], size[axis]) for axis in (0, 1)
        )
        base = image[:, None] * (self.height + 1)
        top_row, bottom_row = ((base + edge) * (self.width + 1) for edge in (top, bottom))
        total = self._at(bottom_row, right).sub_(self._at(bottom_row, left))
        total.sub_(self._at(top_row, right)).add_(self._at(top_row, left))
        return self._means(total, bottom - top, right - left)

    def _at(self, row: Tensor, column: Tensor) -> Tensor:
        """The table's values at all pairs of `row` (N, h) and `column` (N, w): (N, h, w C)."""
        where = row[:, :, None] + column[:, None, :]
        return self.table.view(-1, self.channels).index_select(0, where.flatten()).view(*row.shape, -1)

    def _means(self, total: Tensor, height: Tensor, width: Tensor) -> Tensor:
        """Means (N, C, h, w) from sums (N, h, w C) over cells of `height` (N or 1, h) and `width` (N or 1, w)."""
        total /= height[:, :, None].double() * width.repeat_interleave(self.channels, dim=1)[:, None]
        means = total.to(self.dtype).unflatten(2, (-1, self.channels))
        return means.permute(0, 3, 1, 2)  # channels last in memory

    @staticmethod
    def _cells(start: Tensor, length: Tensor, cells: int) -> tuple[Tensor, Tensor]:
        """First and last edge of each of `cells` cells. They overlap if their number does not divide the length."""
        cell = torch.arange(cells, device=start.device)
        return start + cell * length // cells, start - (-(cell + 1) * length // cells)


class _MaxPool(nn.MaxPool2d):
    """Max pooling with square windows and stride 2; windows at the end may be partial.

    On the CPU it pools rows and columns in turn. That gives the same numbers and is faster than its parent, which also
    keeps indices and goes pixel by pixel over a few channels.
    """

    def forward(self, x: Tensor) -> Tensor:
        side = self.kernel_size
        if not isinstance(side, int) or x.device.type != "cpu" or x.requires_grad:
            return super().forward(x)
        for dim in (2, 3):
            windows = -(-(x.shape[dim] - side) // 2) + 1
            first, *others = (x.transpose(0, dim)[k::2][:windows] for k in range(side))
            x = first.clone()
            for other in others:
                torch.maximum(x[: len(other)], other, out=x[: len(other)])
            x = x.transpose(0, dim)
        return x


def _mtcnn(min_face_size: int) -> Any:
    """The networks of facenet-pytorch with their weights. Raises SettingError if the package is not installed."""
    try:
        from facenet_pytorch import MTCNN
    except ModuleNotFoundError as error:
        raise SettingError(
            f"model: FaceDetector needs the package {error.name}; install it with "
            "pip install --no-deps facenet-pytorch==2.6.0 (its metadata asks for an old torch, hence --no-deps)"
        ) from error
    return MTCNN(min_face_size=min_face_size)


class FaceDetector(nn.Module):
    """The largest face in each image, found by the pre-trained MTCNN.

    Args:
        min_face_size: smallest face to search for, in pixels, at least 12 (facenet-pytorch's default: 20).
        nothing: the row of an image in which no face is found. "zeros": the empty set, for the Jaccard distance. "nan":
            no number, for median smoothing.

    Shape:
        images (n, 3, H, W), RGB, float32, nominally in [0, 1]. Noise may leave that range; nothing is clipped.
        Returns (n, 4) boxes (x1, y1, x2, y2) in pixels, as floats. Row i depends only on image i.

    Raises:
        SettingError: min_face_size is too small, `nothing` is unknown, or facenet-pytorch is not installed.
    """

    pretrained = True

    def __init__(self, min_face_size: int = 20, nothing: str = "zeros") -> None:
        super().__init__()
        if nothing not in ("zeros", "nan"):
            raise SettingError(f"model.nothing: expected zeros or nan, got {nothing}")
        self.nothing = nothing
        if min_face_size < PROPOSAL_CELL:
            raise SettingError(f"model.min_face_size: expected at least {PROPOSAL_CELL} pixels, got {min_face_size}")
        mtcnn = _mtcnn(min_face_size)
        self.min_face_size = min_face_size
        self.pyramid_factor: float = mtcnn.factor
        self.thresholds: list[float] = mtcnn.thresholds
        self.pnet, self.rnet, self.onet = mtcnn.pnet, mtcnn.rnet, mtcnn.onet
        for network in (self.pnet, self.rnet, self.onet):
            for name, layer in network.named_children():
                if isinstance(layer, nn.MaxPool2d):
                    setattr(network, name, _MaxPool(layer.kernel_size, layer.stride, ceil_mode=layer.ceil_mode))
        self.to(memory_format=torch.channels_last).eval()

    def forward(self, images: Tensor) -> Tensor:
        boxes = self._boxes(images)
        if self.nothing == "nan":
            boxes = boxes.masked_fill((boxes == 0).all(dim=1, keepdim=True), torch.nan)
        return boxes

    def _boxes(self, images: Tensor) -> Tensor:
        """The boxes; zeros where no face is found."""
        if images.dim() != 4 or images.shape[1] != 3:
            raise BaseFunctionError(f"face detector: expected images (n, 3, H, W), got {tuple(images.shape)}")
        n = len(images)
        if min(images.shape[2:]) < self.min_face_size:
            return images.new_zeros(n, 4)
        windows = _AreaResize((images * 255 - PIXEL_CENTER) * PIXEL_SCALE)  # normalising commutes with means

        # Stage 1: P-Net proposes candidates on an image pyramid.
        boxes, scores, owner = self._propose(windows)

        # Stage 2: R-Net rejects most of them.
        boxes, owner, (offsets, scores, *_) = self._look(self.rnet, 24, windows, _squared(boxes), owner)
        keep = scores[:, 1] > self.thresholds[1]
        boxes, owner, offsets, scores = boxes[keep], owner[keep], offsets[keep], scores[keep, 1]
        keep = _suppress(boxes, scores, owner, 0.7)
        boxes, owner = _regressed(boxes[keep], offsets[keep]), owner[keep]

        # Stage 3: O-Net decides.
        boxes, owner, (offsets, _, scores) = self._look(self.onet, 48, windows, _squared(boxes), owner)
        keep = scores[:, 1] > self.thresholds[2]
        boxes, owner, scores = _regressed(boxes[keep], offsets[keep]), owner[keep], scores[keep, 1]
        return _largest(boxes, scores, owner, n, 0.7)

    def _scales(self, height: int, width: int) -> Iterator[float]:
        scale = PROPOSAL_CELL / self.min_face_size
        side = min(height, width) * scale
        while side >= PROPOSAL_CELL:
            yield scale
            scale, side = scale * self.pyramid_factor, side * self.pyramid_factor

    def _propose(self, windows: _AreaResize) -> tuple[Tensor, Tensor, Tensor]:
        """Candidates in all images: boxes (N, 4), scores (N,) and owner (N,), the number of each candidate's image."""
        height, width = windows.height, windows.width
        found = []
        for scale in self._scales(height, width):
            size = (int(height * scale + 1), int(width * scale + 1))
            offsets, scores = (part.to(windows.dtype) for part in self.pnet(windows.whole(size)))
            owner, row, column = (scores[:, 1] >= self.thresholds[0]).nonzero(as_tuple=True)
            cell = torch.stack([column, row], dim=1).to(scores.dtype) * PROPOSAL_STRIDE
            boxes = torch.cat([((cell + 1) / scale).floor(), ((cell + PROPOSAL_CELL) / scale).floor()], dim=1)
            score, offset = scores[owner, 1, row, column], offsets[owner, :, row, column]
            keep = _suppress(boxes, score, owner, 0.5)
            found.append((boxes[keep], score[keep], owner[keep], offset[keep]))
        boxes, scores, owner, offsets = (torch.cat(part) for part in zip(*found, strict=True))
        keep = _suppress(boxes, scores, owner, 0.7)
        boxes, offsets = boxes[keep], offsets[keep]
        sides = boxes[:, 2:] - boxes[:, :2]
        return boxes + offsets * sides.repeat(1, 2), scores[keep], owner[keep]

    @staticmethod
    def _look(
        network: nn.Module, size: int, windows: _AreaResize, boxes: Tensor, owner: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Show each box's content, resized to (size, size), to a network.

        Returns the boxes (N', 4) with content, their owners, and the network's outputs, one row for each box. A box
        that is wholly outside its image has no content and is dropped. If no box is left, all results are empty.
        """
        x1, y1, x2, y2 = boxes.trunc().long().unbind(dim=1)  # one-based and inclusive, as MTCNN was trained
        corner = torch.stack([y1, x1], dim=1).clamp(min=1) - 1
        extent = torch.stack([y2.clamp(max=windows.height), x2.clamp(max=windows.width)], dim=1) - corner
        keep = (extent > 0).all(dim=1)
        boxes, owner, corner, extent = boxes[keep], owner[keep], corner[keep], extent[keep]
        if len(boxes) == 0:
            return boxes, owner, [boxes.new_zeros(0, 4)] * 3
        at_once = (CROP_PIXELS_CPU if boxes.device.type == "cpu" else CROP_PIXELS) // size**2
        parts = zip(owner.split(at_once), corner.split(at_once), extent.split(at_once), strict=True)
        outputs = [network(windows(*part, size=(size, size))) for part in parts]
        return boxes, owner, [torch.cat(part).to(boxes.dtype) for part in zip(*outputs, strict=True)]


def _squared(boxes: Tensor) -> Tensor:
    """The square around each box's center whose side is the longer one."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.amax(dim=1, keepdim=True)
    corner = boxes[:, :2] + sides * 0.5 - side * 0.5
    return torch.cat([corner, corner + side], dim=1)


def _regressed(boxes: Tensor, offsets: Tensor) -> Tensor:
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + offsets * sides.repeat(1, 2)


def _suppress(boxes: Tensor, scores: Tensor, owner: Tensor, threshold: float) -> Tensor:
    """Non-maximum suppression within each image; returns the indices kept.

    To keep images apart, each is moved to its own place. In float64 this changes no box by more than 1e-9 pixels. In
    float32 it would make an image's boxes depend on its batch.
    """
    if len(boxes) == 0:
        return owner
    place = owner.double() * (boxes.max() - boxes.min() + 1).double()
    return nms(boxes.double() + place[:, None], scores.double(), threshold)


def _largest(boxes: Tensor, scores: Tensor, owner: Tensor, n: int, threshold: float) -> Tensor:
    """Each image's largest box after non-maximum suppression: (n, 4); zeros if it has none.

    Unlike in `_suppress`, the overlap is relative to the smaller of two boxes, in inclusive pixels. Boxes (N, 4) with
    their scores (N,) go into a table with one row for each image, the best first. No image has many boxes.
    """
    if len(boxes) == 0:
        return boxes.new_zeros(n, 4)
    order = scores.argsort(stable=True).flip(0)  # of equal scores, the last comes first
    order = order[owner[order].argsort(stable=True)]
    owner, count = owner[order], owner.bincount(minlength=n)
    rank = torch.arange(len(owner), device=owner.device) - (count.cumsum(0) - count)[owner]
    table = boxes.new_zeros(n, int(count.max()), 4)
    table[owner, rank] = boxes[order]
    kept = torch.arange(table.shape[1], device=owner.device) < count[:, None]

    area = (table[..., 2:] - table[..., :2] + 1).clamp(min=0).prod(dim=2)
    corner = torch.maximum(table[:, :, None, :2], table[:, None, :, :2])
    shared = (torch.minimum(table[:, :, None, 2:], table[:, None, :, 2:]) - corner + 1).clamp(min=0).prod(dim=3)
    overlaps = shared / torch.minimum(area[:, :, None], area[:, None, :]) > threshold
    for i in range(table.shape[1]):
        kept[:, i + 1 :] &= ~(overlaps[:, i, i + 1 :] & kept[:, i, None])

    area = (table[..., 2:] - table[..., :2]).prod(dim=2)
    best = table.shape[1] - 1 - area.where(kept, -torch.inf).flip(1).argmax(dim=1)  # of equal areas, the last
    return table[torch.arange(n, device=owner.device), best]
