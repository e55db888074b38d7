"""Titles of figures for people: "Digits, Gaussian noise" instead of digits_gaussian."""

import re
from collections.abc import Iterable
from textwrap import fill

DATA = {
    "celeba": "CelebA",
    "cifar10": "CIFAR-10",
    "diabetes": "Diabetes",
    "digits": "Digits",
    "faces": "Faces",
    "generator": "Generator of faces",
    "imagenet": "ImageNet",
    "mnist": "MNIST",
    "people": "People",
    "person": "People",
    "photos": "Photographs",
    "svhn": "SVHN",
}
WORDS = {
    "angular": "angular distance",
    "conformal": "conformal sets",
    "consistency": "consistency regularization",
    "crown": "networks of CROWN-IBP",
    "denoised": "denoised",
    "dssn": "deterministic splitting noise",
    "gaussian": "Gaussian noise",
    "jaccard": "Jaccard distance",
    "jpeg": "JPEG copy",
    "l1": r"$\ell_1$",
    "l2": r"$\ell_2$ distance",
    "lpips": "LPIPS distance",
    "macer": "MACER",
    "perceptual": "squared feature distance",
    "published": "the authors' results",
    "smoothadv": "SmoothAdv",
    "smoothmix": "SmoothMix",
    "ssn": "splitting noise",
    "stability": "stability training",
    "tvd": "total variation distance",
    "undefended": "undefended",
    "uniform": "uniform noise",
    "wong": "the network of Wong et al.",
}


def title_of(experiment: str) -> str:
    """The title of an experiment, or of the first words of its name. A user's own name gets spaces."""
    data, *rest = experiment.split("_")
    if data not in DATA:
        return experiment.replace("_", " ")
    return ", ".join([DATA[data], *(WORDS.get(word, word) for word in rest)])


def data_title(name: str) -> str:
    """A data set's class in a title: "CIFAR10, reconstruction" becomes "CIFAR-10, reconstruction"."""
    found, comma, rest = name.partition(",")
    return DATA.get(found.lower(), found) + comma + rest


def examples_text(counts: Iterable[int]) -> str:
    """The number of test examples, or their range."""
    sizes = {int(count) for count in counts}
    return f"{numbers_text(sizes)} test example{'s' * (max(sizes) != 1)}"


def numbers_text(counts: Iterable[int]) -> str:
    """A number, or the range of several: "10" or "1 to 4"."""
    sizes = sorted(set(counts))
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"


def wrapped(text: str, width: int) -> str:
    """A text in lines of at most `width` letters. Formulas stay whole."""
    kept = re.sub(r"\$[^$]*\$", lambda formula: formula[0].replace(" ", "\xa0"), text)  # no line ends there
    return fill(kept, width).replace("\xa0", " ")
