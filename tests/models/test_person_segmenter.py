"""The person segmenter: equal to LiteRT's own single calls, row by row, and clear about what is missing."""

import copy
import json

import pandas as pd
import pytest
import torch

from experiments.certifying import certification
from experiments.data import People
from smoothing import BaseFunctionError, MaskJaccard, SettingError

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from models import person_segmenter as module
from models.person_segmenter import PersonSegmenter

try:
    module._file(None)
except SettingError as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.fixture(scope="module")
def network():
    return PersonSegmenter()


@pytest.fixture(scope="module")
def photographs():
    return torch.stack([People()[index] for index in People().indices()])


def own_call(image):
    """LiteRT on one image, as its documentation shows: probabilities (256, 256)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(module._file(None)), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image.permute(1, 2, 0)[None].numpy())
    interpreter.invoke()
    return torch.from_numpy(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))[0, :, :, 0]


def test_a_batch_is_the_runtimes_single_calls(photographs):
    found = PersonSegmenter(side=256)(photographs)
    assert found.dtype == torch.bool
    for image, mask in zip(photographs, found, strict=True):
        assert torch.equal(mask[0], own_call(image) > 0.5)


def test_a_cell_is_inside_if_its_mean_probability_is_above_one_half(network, photographs):
    (mask,) = network(photographs[:1])[0]
    probability = own_call(photographs[0])
    means = probability.view(64, 4, 64, 4).mean(dim=(1, 3))
    sure = (means - 0.5).abs() > 1e-5
    assert torch.equal(mask[sure], (means > 0.5)[sure])
    assert 0.3 < mask.float().mean() < 0.8  # the astronaut


@pytest.mark.parametrize("sizes", [(3, 1, 3), (1, 7, 2)])
def test_rows_do_not_depend_on_the_batch(network, photographs, sizes):
    images = photographs.repeat(3, 1, 1, 1)[:7] + 0.1 * torch.randn(7, 3, 256, 256)
    alone = torch.cat([network(image[None]) for image in images])
    for size in sizes:
        assert torch.equal(torch.cat([network(part) for part in images.split(size)]), alone)


def test_another_size_is_resized_first(network, photographs):
    large = torch.nn.functional.interpolate(photographs, scale_factor=2, mode="nearest")
    distance = MaskJaccard()(network(large).float(), network(photographs).float())
    assert float(distance[0]) < 0.05


def test_a_copy_works_and_the_weights_are_part_of_its_state(network, photographs):
    twin = copy.deepcopy(network)
    assert torch.equal(twin(photographs), network(photographs))
    assert network.state_dict()["network"].numel() > 200_000


@pytest.mark.parametrize("images", [torch.zeros(2, 1, 256, 256), torch.zeros(3, 256, 256)])
def test_other_inputs_are_refused(network, images):
    with pytest.raises(BaseFunctionError, match=r"expected images \(n, 3, H, W\)"):
        network(images)


def test_wrong_settings_are_refused(tmp_path, monkeypatch):
    with pytest.raises(SettingError, match=r"model\.side: expected a divisor of 256, got 60"):
        PersonSegmenter(side=60)
    with pytest.raises(SettingError, match=r"model\.weights: no file 'nowhere\.tflite'"):
        PersonSegmenter("nowhere.tflite")
    (tmp_path / "rubbish.tflite").write_bytes(b"rubbish")
    with pytest.raises(SettingError, match=r"model\.weights: expected MediaPipe's selfie segmentation network \(.*\)$"):
        PersonSegmenter(str(tmp_path / "rubbish.tflite"))

    def missing(name):
        raise module.PackageNotFoundError(name)

    monkeypatch.setattr(module, "distribution", missing)
    with pytest.raises(SettingError, match=r"pip install --no-deps mediapipe==0\.10\.21$"):
        PersonSegmenter()


@pytest.mark.parametrize("index", [-1, 3])
def test_there_are_three_photographs(index):
    assert People()[1].shape == (3, 256, 256)
    assert People().file(1) == "data/camera.png"
    with pytest.raises(IndexError, match="indices are 0 to 2"):
        People()[index]


@pytest.mark.long
def test_the_experiment_writes_rows(settings, tmp_path):
    small = (
        "noise.sigma=0.1",
        "certifier.n=80",
        "certifier.m=60",
        "certifier.delta=0.3",
        "limit=1",
        "eps=[0.02,0.05]",
        "device=cpu",
    )
    table = certification.certify(settings("experiment=person_jaccard", *small, f"results.root={tmp_path}"))
    rows = pd.read_csv(table)
    assert rows["status"].tolist() == ["certified", "certified"]
    assert rows["eps_out"].between(0, 0.9).all()
    record = json.loads((table.parent / "run.json").read_text())
    assert record["identity"]["metric"]["type"] == "MaskJaccard"
