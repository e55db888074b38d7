"""Bad input, case by case: it is refused with one clear line or repaired as documented, and nothing is overwritten.

The cases are products of lists, so that a failure names its case and is reproducible.
"""

import copy
import json
import pickle
from itertools import product

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from PIL import Image

from experiments.certifying import certification
from experiments.config.check import checked
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.data import Classes, Digits, ImageFolder
from experiments.report.figure import CONF
from experiments.runs import run_folder
from experiments.runs.run_folder import load_draws
from experiments.runs.table import Schema, TableWriter, read_table
from experiments.training import checkpoints, loop
from experiments.training.weights import find
from models.autoencoder import Autoencoder
from models.classifiers import SmallCNN
from smoothing import Certify, SmoothingError

pytestmark = pytest.mark.long

# Neither a number nor a known name: always refused if a number is expected.
NO_NUMBER = ("abc", "", [1, 2], {"a": 1}, "${nowhere}", "two\nlines")
NEVER_RIGHT = (*NO_NUMBER, float("nan"), float("-inf"), -1, 10**21)  # for a count or a measured number
PERHAPS = (None, 0, 1.5, float("inf"), 1e-300, True, [])  # refused or accepted, but no other outcome

COMMANDS = {
    "certify": ("certify", "experiment=digits_gaussian"),
    "predict": ("certify", "experiment=digits_gaussian", "certifier=predict"),
    "attack": ("certify", "experiment=digits_gaussian", "certifier=attack"),
    "adaptive": ("certify", "experiment=digits_gaussian", "certifier=adaptive", "certifier.radius=0.1"),
    "uniform": ("certify", "experiment=digits_uniform"),
    "ssn": ("certify", "experiment=digits_ssn"),
    "dssn": ("certify", "experiment=digits_dssn"),
    "center": ("certify", "experiment=digits_tvd"),
    "center_hd": ("certify", "experiment=digits_tvd", "metric=l2", "certifier=center_hd", "batch_size=50"),
    "undefended": ("certify", "experiment=digits_undefended"),
    "train": ("train", "experiment=digits_gaussian"),
    "train autoencoder": ("train", "experiment=digits_tvd"),
    "train denoiser": ("train", "experiment=digits_uniform_denoised"),
}
GROUPS = {"certify": ("noise", "certifier", "metric"), "train": ("noise", "trainer", "model", "seed", "device")}
MUST_BE_NUMBERS = ("certifier.n", "certifier.m", "certifier.n0", "certifier.alpha", "certifier.delta", "noise.sigma")
MUST_BE_NUMBERS += ("trainer.epochs", "trainer.lr", "trainer.batch_size", "certifier.alpha1", "certifier.alpha2")


class Ready(BaseException):
    """Raised after all checks, in place of the first sample or step."""


def ready(*arguments, **named):
    raise Ready


def outcome(act, *arguments):
    """ "ready", "refused", or an error that is not a clear line."""
    try:
        act(*arguments)
    except SmoothingError as error:
        return "refused" if str(error) and "\n" not in str(error) else f"several lines: {error}"
    except (Ready, OmegaConfBaseException) as error:  # Hydra prints the latter in its own words
        return "ready" if isinstance(error, Ready) else "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "ready"


def keys_of(node, prefix=""):
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from keys_of(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.fixture
def command(monkeypatch, tmp_path):
    """command(name) -> the settings of COMMANDS, and a function that runs them until the first sample or step."""
    monkeypatch.setattr(run_folder, "TableWriter", ready)
    monkeypatch.setattr(loop, "_fit", ready)
    for model in (SmallCNN, Autoencoder):
        monkeypatch.setattr(model, "pretrained", True, raising=False)  # no checkpoint is needed
    register()
    roots = [f"{group}.root={tmp_path / group}" for group in ("results", "checkpoints")]

    def composed(name):
        kind, *overrides = COMMANDS[name]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose(kind, [*overrides, "device=cpu", *roots])
        OmegaConf.set_struct(cfg, False)
        run = certification.certify if kind == "certify" else loop.train

        def with_value(key, value):
            top = key.partition(".")[0]
            known, before = top in cfg, copy.deepcopy(cfg.get(top))
            try:
                OmegaConf.update(cfg, key, value, merge=False)
                run(checked(cfg, Settings))
            finally:  # a copy of cfg for each value would take a fifth of the time
                if known:
                    cfg[top] = before
                else:
                    cfg.pop(top, None)

        return checked(cfg, Settings), with_value

    return composed


QUICK = ("certify", "dssn", "center", "train")  # the others share most of their settings with these


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS]
)
def test_a_setting(command, tmp_path, name):
    plain, with_value = command(name)
    keys = [key for key in keys_of(plain.as_dict()) if not key.endswith(".root")]
    if name != "certify":
        keys = [key for key in keys if key.partition(".")[0] in GROUPS[COMMANDS[name][0]] and "_target_" not in key]
    cases = list(product(keys, (*NEVER_RIGHT, *PERHAPS)))
    wrong = {}
    for key, value in cases:
        found = outcome(with_value, key, value)
        unused = key.startswith("trainer.") and "train" not in name  # certification does not train
        must = key in MUST_BE_NUMBERS and not unused and any(value is bad for bad in NEVER_RIGHT)
        if found not in (("refused",) if must else ("refused", "ready")):
            wrong[key, str(value)] = found
    unknown = [f"{group}.knid" for group in ("noise", "certifier", "dataset", "model") if getattr(plain, group)]
    for key in ("knid", *unknown):
        if (found := outcome(with_value, key, 1)) != "refused":
            wrong[key, 1] = found
    count = len(cases) + 1 + len(unknown)
    print(f"{count} cases")
    assert not wrong
    assert count >= (500 if name == "certify" else 20)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]


HEADER = ",".join(Certify.columns).encode() + b"\n"


def line(index):
    return f"{index},3,3,0.5,True,90,10,100,0.9,certified,0.1,,100,0.001,3,0.1,10\n".encode()


ROWS = HEADER + line(0) + line(1)
REPAIRED = {
    "": [],
    "torn header": [],
    "torn": [0],
    "twice": [0, 1],
    "reordered": [0, 1],
    "crlf": [0, 1],
    "blank": [0, 1],
}
TABLES = {
    "": b"",
    "torn header": HEADER[:20],
    "torn": ROWS[:-9],
    "twice": ROWS + line(0),
    "reordered": HEADER + line(1) + line(0),
    "crlf": ROWS.replace(b"\n", b"\r\n"),
    "blank": HEADER + b"\n\n" + ROWS.removeprefix(HEADER),
    "half a row": HEADER + b"0,3\n" + line(1),
    "a longer row": HEADER + line(0).strip() + b",x,y\n" + line(1),
    "the last row longer": ROWS.strip() + b",x\n",
    "the header again": ROWS + HEADER,
    "rubbish": bytes(range(256)) * 4,
    "rubbish in a line": b"\x89PNG\r\x1a\x00\x00",
    "zeros": ROWS + b"\0" * 50 + b"\n",
    "latin-1": ROWS + b"\xff\xfe\n",
    "utf-16": ROWS.decode().encode("utf-16"),
    "a quote": HEADER + b'"' + line(0),
    "other columns": b"a,b\n1,2\n",
    "an empty line": b"\n",
    **{f"index {index}": HEADER + line(index) for index in ("abc", "nan", "inf", "")},
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table(tmp_path, name):
    path = tmp_path / "certificates.csv"
    path.write_bytes(TABLES[name])
    done = []

    def write():
        with TableWriter(path, Schema.of(Certify)) as table:
            done.extend(sorted(int(index) for (index,) in table.done))

    if name in REPAIRED:
        frame = read_table(tmp_path)
        assert (frame["index"].tolist() if len(frame) else []) == REPAIRED[name]
        assert outcome(write) == "ready"
        assert done == REPAIRED[name]
        return
    # For a reader, a table without a complete line has only just been started.
    assert outcome(read_table, tmp_path) == ("refused" if b"\n" in TABLES[name] else "ready")
    assert outcome(write) == "refused"
    assert path.read_bytes() == TABLES[name]


@pytest.mark.parametrize("column", range(len(Certify.columns)))
def test_a_column_of_another_name(tmp_path, column):
    columns = list(Certify.columns)
    columns[column] = "other"
    path = tmp_path / "certificates.csv"
    path.write_bytes(content := ",".join(columns).encode() + b"\n" + line(0))
    assert outcome(TableWriter, path, Schema.of(Certify)) == "refused"
    assert path.read_bytes() == content


class Bomb:
    """Unpickled, it calls `exploded`."""

    def __reduce__(self):
        return exploded, ()


EXPLOSIONS = []


def exploded():
    EXPLOSIONS.append(1)


def damages(whole):
    """Damaged contents of a file, by name."""
    cut = {f"cut at {k}/16": whole[: len(whole) * k // 16] for k in range(16)}
    return cut | {"a pickle": pickle.dumps(Bomb()), "text": b"no such thing\n", "zeros": bytes(200), "json": b"[]"}


def load(settings, model):
    find(settings, Digits()).load(model, settings, Digits())


def test_weights(composed, tmp_path):
    """Damage is found even if checkpoint.json has the hash of the damaged bytes: safetensors checks last."""
    plain, model = composed(f"checkpoints.root={tmp_path}"), SmallCNN(10, 1, (0.3,), (0.4,))
    folder = checkpoints.folder(plain, Digits())
    folder.mkdir(parents=True)
    metadata = {"trained_as": checkpoints.trained_as(plain, Digits()), "num_classes": 10}
    checkpoints.save(folder, model, metadata)
    file, count = folder / checkpoints.WEIGHTS, 0
    assert outcome(load, plain, model) == "ready"
    others = {"another shape": SmallCNN(9, 1, (0.3,), (0.4,)), "other keys": torch.nn.Linear(2, 2)}
    whole = file.read_bytes()
    for name, content in damages(whole).items():
        for vouched in (False, True):
            file.write_bytes(content)
            if vouched:
                text = json.dumps(metadata | {"weights": checkpoints.weights_hash(file)})
                (folder / checkpoints.METADATA).write_text(text)
            assert outcome(load, plain, model) == "refused", (name, vouched)
            assert file.read_bytes() == content
            count += 1
    for name, other in others.items():
        checkpoints.save(folder, other, metadata)
        assert outcome(load, plain, model) == "refused", name
        count += 1
    assert not EXPLOSIONS
    print(f"{count} cases")


def test_a_state_to_resume(tmp_path):
    model = SmallCNN(10, 1, (0.3,), (0.4,))
    optimizers = [torch.optim.SGD(model.parameters(), 0.1)]
    checkpoints.keep(tmp_path, [model], optimizers, [{"epoch": 0}])
    file = tmp_path / checkpoints.RESUME
    assert outcome(checkpoints.resume, tmp_path, [model], optimizers) == "ready"
    whole = file.read_bytes()
    for name, content in damages(whole).items():
        file.write_bytes(content)
        assert outcome(checkpoints.resume, tmp_path, [model], optimizers) == "refused", name
    for state in ({}, [], {"model": {}, "optimizers": [], "rows": []}, {"model": Bomb()}):
        torch.save(state, file)
        assert outcome(checkpoints.resume, tmp_path, [model], optimizers) == "refused"
    assert not EXPLOSIONS


def test_kept_draws(tmp_path):
    file = tmp_path / "0.npz"
    np.savez(file, base_output=np.zeros(3))
    for name, content in damages(file.read_bytes()).items():
        file.write_bytes(content)
        assert outcome(load_draws, file) == "refused", name
    np.savez(file, base_output=np.array([Bomb()], dtype=object))
    assert outcome(load_draws, file) == "refused"
    assert not EXPLOSIONS


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_an_image(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    assert outcome(ImageFolder, str(tmp_path)) == "refused"  # an empty folder
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    for name, content in damages(whole).items():
        path.write_bytes(content)
        assert outcome(ImageFolder(str(tmp_path)).__getitem__, 0) == "refused", name


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_an_image_of_another_mode_is_read_as_rgb_or_refused(tmp_path, mode):
    kind = "tiff" if mode in ("CMYK", "F", "I") else "png"
    Image.new(mode, (30, 40)).save(tmp_path / f"a.{kind}")
    if mode in ("I", "F"):
        assert outcome(ImageFolder(str(tmp_path)).__getitem__, 0) == "refused"
    else:
        assert ImageFolder(str(tmp_path))[0].shape == (3, 40, 30)


@pytest.mark.parametrize("damage", ["none", "train", "test", "one class", "empty class", "size", "text"])
def test_a_folder_of_classes(tmp_path, damage):
    for part, name in product(("train", "test"), ("cat", "dog")):
        if damage == part or (damage == "one class" and name == "dog"):
            continue
        (tmp_path / part / name).mkdir(parents=True)
        if damage != "empty class":
            Image.new("RGB", (9 if damage == "size" and name == "dog" else 8, 8)).save(tmp_path / part / name / "a.png")
        if damage == "text":
            (tmp_path / part / name / "a.png").write_text("no image")
    colours = [0.5] * 3
    for part in ("training", "testing"):  # a folder without train/ serves a trained model
        found = outcome(lambda part=part: getattr(Classes(str(tmp_path), colours, colours), part)())
        assert found == ("ready" if damage == "none" or (damage, part) == ("train", "testing") else "refused")
