"""Released networks of the papers' authors: files in their layout, made here, give the same functions after import."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from experiments.data import Images, LabelledDataset
from experiments.training import checkpoints
from experiments.training.base_function import build_base_function
from experiments.training.import_checkpoint import import_checkpoint
from smoothing import SettingError

ROOT = Path(__file__).parents[3]
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
RANDOM = torch.Generator().manual_seed(0)


class Photographs(LabelledDataset):
    """The classes, channels and pixels of CIFAR-10."""

    classes, shape, mean, std = [*"abcdefghij"], (3, 32, 32), MEAN, STD

    def indices(self):
        return [0]

    def training(self):
        return self.testing()

    def testing(self):
        return Images(torch.zeros(10, 3, 32, 32, dtype=torch.uint8), torch.arange(10))


def normal(*shape):
    return torch.randn(*shape, generator=RANDOM)


def convolution(state, name, channels, width, side):
    state[f"{name}.weight"] = normal(width, channels, side, side) * (2 / (side * side * channels)) ** 0.5


def norm(state, name, width):
    kept = {"weight": 1 + 0.1 * normal(width), "bias": 0.1 * normal(width), "running_mean": 0.1 * normal(width)}
    kept |= {"running_var": 1 + normal(width).abs(), "num_batches_tracked": torch.tensor(7)}
    state |= {f"{name}.{key}": value for key, value in kept.items()}


def bearpaw_state(blocks, prefix="1."):
    """Names and shapes of bearpaw's CIFAR network as saved by Cohen et al., after their normalisation layer."""
    state = {}
    convolution(state, "conv1", 3, 16, 3)
    norm(state, "bn1", 16)
    channels = 16
    for stage, width in enumerate((16, 32, 64), start=1):
        for number in range(blocks):
            name = f"layer{stage}.{number}"
            convolution(state, f"{name}.conv1", channels, width, 3)
            norm(state, f"{name}.bn1", width)
            convolution(state, f"{name}.conv2", width, width, 3)
            norm(state, f"{name}.bn2", width)
            if channels != width:
                convolution(state, f"{name}.downsample.0", channels, width, 1)
                norm(state, f"{name}.downsample.1", width)
            channels = width
    state |= {"fc.weight": 0.1 * normal(10, 64), "fc.bias": normal(10)}
    return {prefix + name: value for name, value in state.items()}


def wide_state(blocks, width=2):
    """Names and shapes of the WideResNet saved by Levine and Feizi, with their normalisation layer."""
    state = {}
    convolution(state, "conv1", 3, 16, 3)
    channels = 16
    for stage, base in enumerate((16, 32, 64), start=1):
        for number in range(blocks):
            name, wide = f"block{stage}.layer.{number}", base * width
            norm(state, f"{name}.bn1", channels)
            convolution(state, f"{name}.conv1", channels, wide, 3)
            norm(state, f"{name}.bn2", wide)
            convolution(state, f"{name}.conv2", wide, wide, 3)
            if channels != wide:
                convolution(state, f"{name}.convShortcut", channels, wide, 1)
            channels = wide
    norm(state, "bn1", channels)
    state |= {"fc.weight": 0.1 * normal(10, channels), "fc.bias": normal(10)}
    norms = {"mu": torch.tensor(MEAN).view(3, 1, 1), "log_sig": torch.tensor(STD).log().view(3, 1, 1)}
    return {f"norm.module.{k}": v for k, v in norms.items()} | {f"model.module.{k}": v for k, v in state.items()}


class Released:
    """The outputs of the authors' networks, computed from a state dictionary with their names."""

    def __init__(self, state, prefix):
        self.state = {name.removeprefix(prefix): value for name, value in state.items()}

    def conv(self, x, name, stride=1):
        weight = self.state[f"{name}.weight"]
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def norm(self, x, name):
        kept = (self.state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *kept)

    def linear(self, x):
        return functional.linear(x.mean(dim=(2, 3)), self.state["fc.weight"], self.state["fc.bias"])

    def start(self, images):
        return (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)

    def bearpaw(self, images, blocks):
        x = self.norm(self.conv(self.start(images), "conv1"), "bn1").relu()
        for stage in (1, 2, 3):
            for number in range(blocks):
                name, stride = f"layer{stage}.{number}", 2 if stage > 1 and not number else 1
                y = self.norm(self.conv(x, f"{name}.conv1", stride), f"{name}.bn1").relu()
                y = self.norm(self.conv(y, f"{name}.conv2"), f"{name}.bn2")
                if stride == 2:
                    x = self.norm(self.conv(x, f"{name}.downsample.0", 2), f"{name}.downsample.1")
                x = (x + y).relu()
        return self.linear(x)

    def wide(self, images, blocks):
        x = self.conv(self.start(images), "conv1")
        for stage in (1, 2, 3):
            for number in range(blocks):
                name, stride = f"block{stage}.layer.{number}", 2 if stage > 1 and not number else 1
                active = self.norm(x, f"{name}.bn1").relu()
                y = self.norm(self.conv(active, f"{name}.conv1", stride), f"{name}.bn2").relu()
                shortcut = x if number else self.conv(active, f"{name}.convShortcut", stride)
                x = shortcut + self.conv(y, f"{name}.conv2")
        return self.linear(self.norm(x, "bn1").relu())


@pytest.fixture
def settings_of(composed, tmp_path):
    """Checked settings of an experiment on `Photographs`."""

    def settings(*overrides):
        data = (
            f"dataset._target_={__name__}.Photographs",
            *(f"~dataset.{key}" for key in ("root", "download", "step")),
        )
        return composed(*overrides, *data, f"checkpoints.root={tmp_path}/checkpoints")

    return settings


def base_function(settings, folder):
    return build_base_function(replace(settings, checkpoint=str(folder)), Photographs())


def model_of(settings, folder):
    return base_function(settings, folder).model.eval()


COHEN = ("experiment=cifar10_gaussian", "model=resnet20", "noise.sigma=0.5")
DSSN = ("experiment=cifar10_dssn", "model.depth=16", "noise.sigma=0.5", "trainer.stability=6")


@pytest.fixture
def cohen_file(tmp_path):
    """cohen_file(state) saves one as Cohen et al. did."""

    def save(state=None, arch="cifar_resnet20"):
        path = tmp_path / "checkpoint.pth.tar"
        state = bearpaw_state(3) if state is None else state
        torch.save({"epoch": 90, "arch": arch, "state_dict": state, "optimizer": {"param_groups": [{"lr": 0.1}]}}, path)
        return path

    return save


@pytest.mark.parametrize("prefix", ["1.", "1.module.", "module.", ""])
def test_a_network_of_cohen_et_al_is_the_same_function(settings_of, cohen_file, prefix):
    state = bearpaw_state(3, prefix)
    plain = settings_of(*COHEN)
    folder = import_checkpoint(cohen_file(state), plain)
    model = model_of(plain, folder)
    images = torch.rand(4, 3, 32, 32, generator=RANDOM)
    with torch.inference_mode():
        assert torch.allclose(model(images), Released(state, prefix).bearpaw(images, 3), rtol=1e-4, atol=1e-4)


def test_a_network_of_levine_and_feizi_is_the_same_function_with_its_offsets(settings_of, tmp_path):
    state = wide_state(2)
    torch.save(state, tmp_path / "model_ckpt.torch")
    plain = settings_of(*DSSN)
    folder = import_checkpoint(tmp_path / "model_ckpt.torch", plain)
    base = base_function(plain, folder)
    model = base.model.eval()
    images = torch.rand(4, 3, 32, 32, generator=RANDOM)
    with torch.inference_mode():
        assert torch.allclose(model(images), Released(state, "model.module.").wide(images, 2), rtol=1e-4, atol=1e-4)
    noise = base.noise
    drawn = np.random.RandomState(0).randint(noise.steps, size=3072)
    assert noise.offsets.flatten().tolist() == drawn.tolist()


def test_resnet50_of_cohen_et_al(settings_of, cohen_file):
    from torchvision.models import resnet50

    theirs = resnet50(weights=None, num_classes=10).eval()
    path = cohen_file({f"1.module.{name}": value for name, value in theirs.state_dict().items()}, "resnet50")
    plain = settings_of("experiment=cifar10_gaussian", "model=resnet50")
    model = model_of(plain, import_checkpoint(path, plain))
    images = torch.rand(2, 3, 64, 64, generator=RANDOM)
    with torch.inference_mode():
        assert torch.allclose(model(images), theirs(Released({}, "").start(images)), rtol=1e-4, atol=1e-4)


def test_what_is_known_of_it_is_said(settings_of, cohen_file):
    """Folder and identity differ from those of a network that train.py makes with these settings."""
    plain, path = settings_of(*COHEN), cohen_file()
    folder = import_checkpoint(path, plain)
    assert folder != checkpoints.folder(plain, Photographs())
    metadata = checkpoints.read(folder)
    assert metadata["trained_as"]["noise"] == {"type": "Gaussian", "sigma": 0.5}
    assert (metadata["released_arch"], metadata["imported_from"]) == ("cifar_resnet20", "checkpoint.pth.tar")
    training = base_function(plain, folder).checkpoint.training
    assert training["type"] == "Imported"
    assert training["stability"] == 0.0
    assert "seed" not in training
    assert training["file"] == checkpoints.weights_hash(path)
    with pytest.raises(SettingError, match=r"noise:.*sigma=0\.25.*sigma=0\.5"):
        model_of(settings_of(*COHEN, "noise.sigma=0.25"), folder)


def test_counters_of_batches_may_be_missing(settings_of, cohen_file):
    """PyTorch before 0.4.1 did not save them, and evaluation ignores them."""
    state = {name: value for name, value in bearpaw_state(3).items() if "num_batches" not in name}
    assert import_checkpoint(cohen_file(state), settings_of(*COHEN)).is_dir()


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda s: bearpaw_state(5), r"holds cifar_resnet20, not ProjectedResNet .*it also holds layer1\.3\.bn1\.bias"),
        (lambda s: bearpaw_state(2), r"it lacks features\.6\."),
        (lambda s: without(s, "1.fc.bias"), r"it lacks classify\.bias"),
        (lambda s: without(s, "1.layer2.0.downsample.0.weight"), r"it lacks features\.7\.shortcut\.0\.weight"),
        (lambda s: s | {"1.fc.weight": normal(100, 64)}, r"classify\.weight is \(100, 64\), not \(10, 64\)"),
        (lambda s: s | {"1.extra": normal(3)}, "it also holds extra"),
        (
            lambda s: s | {"1.fc.bias": torch.full((10,), torch.nan)},
            r"classify\.bias .* not finite",
        ),
        (lambda s: s | {"0.means": torch.tensor([0.5] * 3)}, r"normalises with mean \[0\.5, 0\.5, 0\.5\]"),
        (lambda s: s | {"0.sds": torch.tensor([0.5])}, r"normalises with std"),
        (lambda s: s | {"0.scale": torch.tensor([0.5])}, "expected mean and std .*, got scale"),
        (lambda s: {}, "expected a state dictionary"),
        (lambda s: {"1.fc.bias": 3}, "expected a state dictionary"),
        (lambda s: wide_state(2), r"not ProjectedResNet|normalises"),
    ],
)
def test_another_network_is_one_line(settings_of, cohen_file, tmp_path, state, message):
    with pytest.raises(SettingError, match=message) as error:
        import_checkpoint(cohen_file(state(bearpaw_state(3))), settings_of(*COHEN))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("checkpoint.json"))


class Evil:
    def __reduce__(self):
        return (print, ("code that was in the file",))


@pytest.mark.parametrize("content", ["cut", b"", b"hello", pickle.dumps({"state_dict": Evil()}), None])
def test_a_damaged_file_is_one_line(settings_of, cohen_file, tmp_path, content, capsys):
    path = cohen_file()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-5000] if content == "cut" else content)
    with pytest.raises(SettingError, match=r"checkpoint\.pth\.tar: (damaged|no such file)") as error:
        import_checkpoint(path, settings_of(*COHEN))
    assert "\n" not in str(error.value)
    assert "code that was" not in capsys.readouterr().out


def test_a_network_of_which_nothing_was_released(settings_of, cohen_file):
    with pytest.raises(SettingError, match="not of ResNetCIFAR"):
        import_checkpoint(cohen_file(), settings_of(*COHEN, "model=resnet20_he"))


@pytest.fixture
def command(python):
    """command(..., folder=) runs the module with these arguments in a folder."""

    def run(*arguments, folder):
        return python("-m", "experiments.training.import_checkpoint", *arguments, cwd=folder, PYTHONPATH=str(ROOT))

    return run


def test_the_command_on_data_that_is_not_there_and_on_a_typing_error(command, cohen_file, tmp_path):
    for typed, says in (
        (("experiment=cifar10_gaussian", f"dataset.root={tmp_path}"), "dataset.root"),
        (("experiment=cifar10_gauss",), "cifar10_gauss"),
        (("experiment=cifar10_gaussian", "model.dept=20"), "dept"),
        (("--config-dir", "conf", "experiment=mine"), "reads the suite's experiments only"),
    ):
        done = command(cohen_file(), *typed, folder=tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("import_checkpoint: ")
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
    assert "python -m experiments.training.import_checkpoint" in command(folder=tmp_path).stderr
