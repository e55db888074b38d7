"""BigGAN-deep-128 with random weights, because the real weights are not available for tests."""

import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace

import pytest
import torch

from models.generator import HUB, BigGAN, class_of
from smoothing import SettingError
from smoothing.base_function import FrozenFunction


@pytest.fixture(scope="module")
def generator():
    return BigGAN("random")


def latents(count):
    return 0.5 * torch.randn(count, 128, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)


@pytest.mark.slow
def test_images_of_one_class_in_the_unit_interval(generator):
    images = FrozenFunction(generator)(latents(2))
    assert images.shape == (2, 3, 128, 128)
    assert images.isfinite().all()
    assert images.min() >= 0
    assert images.max() <= 1
    assert (images[0] - images[1]).abs().mean() > 0.01
    assert images[0].std() > 0.01
    assert not generator.training


def test_an_image_is_that_of_the_package_for_its_class_and_truncation(generator):
    label = torch.zeros(1, 1000)
    label[0, 326] = 1
    with torch.inference_mode():
        expected = generator.network(latents(1), label, 0.5)
        assert torch.allclose(2 * generator(latents(1)) - 1, expected, atol=1e-5)


def test_the_number_of_weights_is_the_published_networks(generator):
    """The released file for 128 x 128 images has 50.4 million weights."""
    assert sum(p.numel() for p in generator.network.parameters()) == pytest.approx(50.4e6, rel=0.001)


def test_what_is_not_finite_passes_through(generator):
    z = latents(2)
    z[1, 0] = torch.inf
    with torch.inference_mode():
        images = generator(z)
    assert images[0].isfinite().all()
    assert not images[1].isfinite().any()


@pytest.mark.slow  # writes and reads 400 MB
def test_weights_from_a_folder_are_the_weights(generator, tmp_path):
    before = torch.random.get_rng_state()
    state = generator.network.state_dict()
    torch.save(state, tmp_path / "pytorch_model.bin")
    loaded = BigGAN(str(tmp_path), class_index=1, truncation=0.4)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(state[name], value) for name, value in loaded.network.state_dict().items())
    assert (int(loaded.label.argmax()), loaded.truncation) == (1, 0.4)
    del state["embeddings.weight"]
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(SettingError, match=r"model\.weights: .*do not fit.*embeddings\.weight"):
        BigGAN(str(tmp_path))
    torch.save({"embeddings.weight": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(SettingError, match=r"model\.weights: .*do not fit"):
        BigGAN(str(tmp_path))


@pytest.mark.parametrize("content", [None, b"", b"hello", b"\x80\x02garbage"])
def test_weights_that_cannot_be_had_are_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(SettingError, match=r"model\.weights: none that can be read in") as error:
        BigGAN(str(tmp_path))
    assert HUB in str(error.value)
    assert "\n" not in str(error.value)


def test_without_a_network_the_address_is_named(monkeypatch):
    def offline(url, **given):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(SettingError, match=r"model\.weights: could not be fetched \(no route to host\)") as error:
        BigGAN()
    assert HUB in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_index": 1000}, r"model\.class_index: expected 0 to 999, got 1000"),
        ({"class_index": -1}, r"model\.class_index: expected 0 to 999, got -1"),
        ({"class_index": "Butterfly"}, r"model\.class_index: to look Butterfly up, install NLTK.*; or give"),
        ({"truncation": 0}, r"model\.truncation: .*got 0"),
        ({"truncation": 1.1}, r"model\.truncation: .*got 1.1"),
    ],
)
def test_refused_before_any_weights_are_looked_for(settings, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk", None)  # makes its import fail
    monkeypatch.setitem(sys.modules, "nltk.corpus", None)
    with pytest.raises(SettingError, match=message):
        BigGAN("nowhere", **settings)


@dataclass
class Sense:
    """A synset with the part of NLTK's interface that the package uses."""

    word: str
    number: int
    above: list["Sense"] = field(default_factory=list)
    below: list["Sense"] = field(default_factory=list)
    part: str = "n"

    def name(self):
        return f"{self.word}.{self.part}.01"

    def offset(self):
        return self.number

    def pos(self):
        return self.part

    def hypernyms(self):
        return self.above

    def hyponyms(self):
        return self.below


@pytest.fixture
def wordnet(monkeypatch):
    """WordNet 3.0's butterflies, in an order that is neither WordNet's nor alphabetical."""
    kinds = {"pierid": 2280458, "sulphur_butterfly": 2281406, "ringlet": 2277742, "lycaenid": 2281787}
    kinds |= {"nymphalid": 2274822, "danaid": 2279637}
    insect = Sense(
        "butterfly", 2274259, [Sense("lepidopterous_insect", 2274024)], [Sense(*kind) for kind in kinds.items()]
    )
    stroke = Sense("butterfly", 570854, [Sense("swimming_stroke", 570066)])
    senses = {
        "butterfly": [insect, stroke, Sense("butterfly", 1900174, part="v")],
        "monarch": [Sense("sovereign", 10628644), Sense("monarch", 2279972)],
        "tennis_ball": [Sense("tennis_ball", 4409515)],
        "flit": [Sense("flit", 1899909, part="v")],
    }
    corpus = ModuleType("nltk.corpus")
    corpus.wordnet = SimpleNamespace(synsets=lambda word: senses.get(word.lower(), []))
    monkeypatch.setitem(sys.modules, "nltk", ModuleType("nltk"))
    monkeypatch.setitem(sys.modules, "nltk.corpus", corpus)
    return corpus.wordnet


def test_the_authors_butterfly_is_a_lycaenid(generator, wordnet):
    """It is class 326, as `one_hot_from_names` returned with NLTK 3.5 to 3.8.1 on WordNet 3.0. It is our default."""
    assert class_of("Butterfly") == 326
    assert int(generator.label.argmax()) == 326


def test_a_sense_that_is_a_class_comes_before_its_neighbours(wordnet):
    assert class_of("monarch") == 323
    assert class_of("tennis ball") == 852


@pytest.mark.parametrize("name", ["flit", "nosuchword", ""])
def test_a_name_that_leads_to_no_class(wordnet, name):
    with pytest.raises(SettingError, match=r"model\.class_index: WordNet leads from .* to no class") as error:
        class_of(name)
    assert "\n" not in str(error.value)


def test_wordnet_that_was_not_downloaded_is_one_line(wordnet):
    def missing(word):
        raise LookupError("many\nlines of NLTK's")

    wordnet.synsets = missing
    with pytest.raises(SettingError, match=r"nltk\.downloader wordnet") as error:
        class_of("Butterfly")
    assert "\n" not in str(error.value)
