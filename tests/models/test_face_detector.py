"""The batched detector compared with facenet-pytorch's own, one image at a time."""

import sys

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN

from experiments.data import Faces
from models.face_detector import FaceDetector, _AreaResize, _largest, _MaxPool
from smoothing import BaseFunctionError, SettingError
from smoothing.base_function import FrozenFunction

FACES = Faces()
TOLERANCE = 1e-3  # pixels; the networks round differently in another memory layout, by some 1e-5 pixels


@pytest.fixture(scope="module")
def detector():
    return FaceDetector()


@pytest.fixture(scope="module")
def mtcnn():
    return MTCNN().eval()


def noisy_faces(indices, sigma, seed=0):
    clean = torch.stack([FACES[index] for index in indices])
    return clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))


def largest_by_detect(mtcnn, images):
    found = [mtcnn.detect((image * 255).permute(1, 2, 0))[0] for image in images]
    return np.array([np.zeros(4) if boxes is None else boxes[0].astype(float) for boxes in found])


def assert_same_boxes(mtcnn, detector, images):
    with torch.no_grad():
        boxes = torch.cat([detector(batch) for batch in images.split(32)]).numpy()
    assert np.abs(boxes - largest_by_detect(mtcnn, images)).max() <= TOLERANCE
    return boxes


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.5])
def test_the_boxes_are_those_of_detect(mtcnn, detector, sigma):
    assert_same_boxes(mtcnn, detector, noisy_faces(range(6), sigma))


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.0, 0.05, 0.1, 0.25, 0.5])
def test_the_boxes_are_those_of_detect_on_every_photograph(mtcnn, detector, sigma):
    boxes = assert_same_boxes(mtcnn, detector, noisy_faces(range(101), sigma))
    found = (boxes[:, 2] > boxes[:, 0]).mean()  # so that boxes are compared, and also empty sets at large sigma
    assert found > 0.9 if sigma <= 0.1 else 0.1 < found < 1


def test_of_several_faces_the_largest(mtcnn, detector):
    small = torch.nn.functional.interpolate(FACES[0][None], scale_factor=0.5, mode="area")[0]
    image = torch.full((3, 218, 330), 0.5)
    image[:, :109, :89], image[:, :, 130:308] = small, FACES[0]
    found, _ = mtcnn.detect((image * 255).permute(1, 2, 0))
    assert len(found) > 1
    box = assert_same_boxes(mtcnn, detector, image[None])[0]
    assert box[0] > 130


def tight_crops(count, sigma):
    """A noisy face that fills 160 x 160. Candidates that cover the whole image have equal scores."""
    face = FACES[0][None, :, 60:175, 52:139]
    whole = torch.nn.functional.interpolate(face, size=(160, 160), mode="bilinear", antialias=True)
    return whole + sigma * torch.randn((count, 3, 160, 160), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [0.0, 0.25])
def test_equal_scores_are_settled_as_by_detect(mtcnn, detector, monkeypatch, sigma):
    """The sort is stable. The order of equal scores under `numpy.argsort` depends on the processor."""
    monkeypatch.setattr("numpy.argsort", lambda values: np.array(sorted(range(len(values)), key=values.__getitem__)))
    assert_same_boxes(mtcnn, detector, tight_crops(10, sigma))


def test_of_equal_scores_and_of_equal_areas_the_last_box():
    """Of two overlapping boxes with equal scores, the last wins. Of two disjoint boxes of one size, the last wins."""
    overlapping = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11]])
    apart = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    owner, equal = torch.zeros(2, dtype=torch.long), torch.tensor([0.9, 0.9])
    assert _largest(overlapping, equal, owner, 1, 0.7).tolist() == [[1, 1, 11, 11]]
    assert _largest(apart, torch.tensor([0.9, 0.8]), owner, 1, 0.7).tolist() == [[50, 50, 60, 60]]
    assert _largest(apart, torch.tensor([0.8, 0.9]), owner, 1, 0.7).tolist() == [[0, 0, 10, 10]]


@pytest.mark.parametrize("shape", [(160, 90), (90, 160), (64, 64)])
def test_other_image_sizes(mtcnn, detector, shape):
    faces = torch.stack([FACES[0], FACES[7]])
    assert_same_boxes(mtcnn, detector, torch.nn.functional.interpolate(faces, size=shape, mode="area"))


@pytest.mark.parametrize("image", [torch.zeros(3, 100, 80), torch.ones(3, 100, 80), torch.full((3, 19, 300), 0.5)])
def test_no_face_is_the_empty_box(detector, image):
    assert detector(torch.stack([image, image])).tolist() == [[0.0] * 4] * 2


def test_a_face_beside_a_blank_image_in_a_batch(detector):
    boxes = detector(torch.stack([torch.zeros(3, 218, 178), FACES[0], torch.zeros(3, 218, 178)]))
    assert boxes[[0, 2]].tolist() == [[0.0] * 4] * 2
    assert boxes[1, 2] > boxes[1, 0]


def test_a_box_depends_on_its_image_alone(detector):
    images = noisy_faces([0] * 40, 0.2)
    with torch.no_grad():
        together, alone = detector(images), torch.cat([detector(image[None]) for image in images[:10]])
    assert (together[:10] - alone).abs().max() <= TOLERANCE


def test_coordinates_are_kept_as_floats(detector):
    boxes = detector(FACES[0][None])
    assert (boxes != boxes.round()).all()


def test_pixels_are_in_0_1(detector):
    """The same photograph in 0..255 is a different, saturated input."""
    assert not torch.allclose(detector(FACES[0][None]), detector(255 * FACES[0][None]))


def test_area_resize_against_interpolate():
    images = torch.rand(5, 3, 40, 30, generator=torch.Generator().manual_seed(0))
    resize = _AreaResize(images)
    for y, x, h, w in [(0, 0, 40, 30), (3, 5, 7, 20), (39, 29, 1, 1), (10, 2, 24, 24)]:
        window = torch.tensor([[y, x]]), torch.tensor([[h, w]])
        for size in [(24, 24), (5, 9), (48, 48)]:
            expected = torch.nn.functional.interpolate(images[3:4, :, y : y + h, x : x + w], size=size, mode="area")
            assert torch.allclose(resize(torch.tensor([3]), *window, size), expected, atol=1e-6)


def test_area_resize_of_whole_images():
    images = torch.rand(5, 3, 40, 30, generator=torch.Generator().manual_seed(0))
    for size in [(24, 24), (5, 9), (40, 30), (50, 7)]:
        expected = torch.nn.functional.interpolate(images, size=size, mode="area")
        assert torch.allclose(_AreaResize(images).whole(size), expected, atol=1e-6)


@pytest.mark.parametrize("side", [2, 3])
@pytest.mark.parametrize("shape", [(2, 3, 9, 12), (1, 4, 12, 11), (3, 5, 3, 3)])
def test_max_pool_gives_its_parents_numbers(side, shape):
    images = torch.randn(shape).to(memory_format=torch.channels_last)
    settings = {"kernel_size": side, "stride": 2, "ceil_mode": True}
    assert torch.equal(_MaxPool(**settings)(images), torch.nn.MaxPool2d(**settings)(images))


def test_the_largest_box_left_is_that_of_suppression_box_by_box():
    """Compared with a loop: each box suppresses boxes of its image with lower scores that it mostly covers."""
    draw = torch.Generator().manual_seed(0)
    n, count, threshold = 30, 200, 0.7
    corner, sides = torch.rand(count, 2, generator=draw) * 30, 5 + torch.rand(count, 2, generator=draw) * 60
    boxes, scores = torch.cat([corner, corner + sides], dim=1), torch.rand(count, generator=draw)
    owner = torch.randint(1, n, (count,), generator=draw)  # image 0 has no box
    expected, suppressed_a_largest = torch.zeros(n, 4), False
    for image in range(1, n):
        kept = []
        for box in boxes[owner == image][scores[owner == image].argsort(descending=True)]:
            areas = [float((b[2:] - b[:2] + 1).prod()) for b in (box, *kept)]
            shared = [
                float((torch.minimum(box[2:], b[2:]) - torch.maximum(box[:2], b[:2]) + 1).clamp(0).prod()) for b in kept
            ]
            if all(s / min(areas[0], area) <= threshold for s, area in zip(shared, areas[1:], strict=True)):
                kept.append(box)
        expected[image] = max(kept, key=lambda b: float((b[2:] - b[:2]).prod()))
        all_boxes = boxes[owner == image]
        suppressed_a_largest |= bool(
            (all_boxes[:, 2:] - all_boxes[:, :2]).prod(dim=1).max() > (expected[image, 2:] - expected[image, :2]).prod()
        )
    assert torch.equal(_largest(boxes, scores, owner, n, threshold), expected)
    assert suppressed_a_largest


def test_in_bfloat16_most_boxes_are_close(detector):
    images = noisy_faces(range(12), 0.05)
    exact, rounded = FrozenFunction(detector)(images), FrozenFunction(detector, "bfloat16")(images)
    assert rounded.dtype == torch.float32
    assert ((exact - rounded).abs().amax(dim=1) < 10).float().mean() >= 0.75


def test_bad_input(detector):
    with pytest.raises(BaseFunctionError, match="expected images"):
        detector(torch.zeros(3, 100, 100))
    with pytest.raises(SettingError, match=r"model\.min_face_size"):
        FaceDetector(min_face_size=5)


@pytest.mark.gpu
def test_on_cuda(detector):
    images = noisy_faces(range(20), 0.1)
    with torch.no_grad():
        expected, found = detector(images), FaceDetector().cuda()(images.cuda()).cpu()
    close = (expected - found).abs().amax(dim=1) < 0.5
    assert close.float().mean() >= 0.9  # another device rounds differently, and a detector is not continuous


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(SettingError, match=r"pip install --no-deps facenet-pytorch==2\.6\.0"):
        FaceDetector()
