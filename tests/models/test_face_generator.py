"""The pre-trained generator of faces. Where its package is missing, with random weights."""

from importlib.metadata import PackageNotFoundError, distribution

import pytest
import torch

from models import FaceGenerator, face_generator
from smoothing import BaseFunctionError, SettingError
from smoothing.base_function import FrozenFunction


def installed():
    try:
        return bool(distribution(face_generator.PACKAGE))
    except PackageNotFoundError:
        return False


packaged = pytest.mark.skipif(not installed(), reason="pip install --no-deps gan-face-generate==1.1.1")


def latents(count):
    return torch.randn(count, 100, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)


@packaged
def test_its_images_are_those_of_the_packages_generator():
    theirs = pytest.importorskip("gan_face_generate.models").Generator(ngpu=0, nc=3, nz=100, ngf=64)
    state = torch.load(face_generator._packaged(), map_location="cpu", weights_only=True)
    theirs.load_state_dict(state["netG_state_dict"])
    with torch.inference_mode():
        expected = theirs.eval()(latents(4)[:, :, None, None])
        assert torch.equal(2 * FaceGenerator()(latents(4)) - 1, (expected + 1) / 2 * 2 - 1)


@packaged
def test_faces_in_the_unit_interval_that_differ():
    images = FrozenFunction(FaceGenerator())(latents(3))
    assert images.shape == (3, 3, 64, 64)
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.1
    assert (images[0] - images[1]).abs().mean() > 0.02


def test_the_number_of_weights():
    assert sum(p.numel() for p in FaceGenerator("random").parameters()) == 3_576_704


def test_an_image_depends_on_its_own_latent_only():
    generator, z = FaceGenerator("random"), latents(3)
    assert not generator.training
    z[1, 0] = torch.inf
    with torch.inference_mode():
        images = generator(z)
        assert torch.allclose(images[[0, 2]], generator(z[[0, 2]]), atol=1e-6)
    assert not images[1].isfinite().any()


def test_weights_from_a_file_are_the_weights(tmp_path):
    before = torch.random.get_rng_state()
    state = {name: value + 1 for name, value in FaceGenerator("random").state_dict().items()}
    torch.save({"netG_state_dict": state}, tmp_path / "weights.tar")
    loaded = FaceGenerator(str(tmp_path / "weights.tar"))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(state[name], value) for name, value in loaded.state_dict().items())
    del state["main.0.weight"]
    for other in ({"netG_state_dict": state}, {"netD_state_dict": state}, [1]):
        torch.save(other, tmp_path / "weights.tar")
        with pytest.raises(SettingError, match=r"model\.weights: those in .* are not gan-face-generate's"):
            FaceGenerator(str(tmp_path / "weights.tar"))


@pytest.mark.parametrize("content", [None, b"", b"hello", b"\x80\x02garbage"])
def test_weights_that_cannot_be_had_are_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "weights.tar").write_bytes(content)
    with pytest.raises(SettingError, match=r"model\.weights: none that can be read in .*weights\.tar") as error:
        FaceGenerator(str(tmp_path / "weights.tar"))
    assert "\n" not in str(error.value)


def test_without_the_package_its_installation_is_named(monkeypatch):
    monkeypatch.setattr(face_generator, "PACKAGE", "no-such-package")
    with pytest.raises(SettingError, match=r"pip install --no-deps no-such-package==1\.1\.1") as error:
        FaceGenerator()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(2, 128), (100,), (2, 100, 1, 1)])
def test_latents_of_another_shape_are_refused(shape):
    with pytest.raises(BaseFunctionError, match=r"face generator: expected latents \(n, 100\), got "):
        FaceGenerator("random")(torch.zeros(shape))
