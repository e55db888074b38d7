"""The packages of named networks, a small network of transformers, and a hub that does not answer."""

import importlib

import pytest


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers")


@pytest.fixture
def saved(transformers, tmp_path):
    """saved(num_labels=3, ...) saves a small vision transformer and its processor, and returns the folder."""

    def save(processor=None, **config):
        folder = tmp_path / "network"
        small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        known = transformers.ViTConfig(image_size=16, patch_size=4, **small, **config or {"num_labels": 3})
        transformers.ViTForImageClassification(known).save_pretrained(folder)
        (processor or transformers.ViTImageProcessor(size={"height": 16, "width": 16})).save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """The hub does not answer, and its cache is empty."""
    constants, utils = (importlib.import_module(f"huggingface_hub.{name}") for name in ("constants", "utils"))

    class Nobody:
        def head(self, *_, **__):
            raise OSError("no route to host")

    monkeypatch.setattr(utils, "get_session", Nobody)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    yield
    assert constants.HF_HUB_OFFLINE is False
