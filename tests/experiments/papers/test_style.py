"""The style of every figure drawn from the committed results: few curves, symbols, human titles, legible letters."""

import re

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

from experiments.report.figure import CONF, selection
from experiments.report.layout import WIDTH
from experiments.report.titles import title_of

MOST = 5  # series in a panel
LEAST = 9  # points of a letter
NAMES = sorted(path.stem for path in (CONF / "figure").glob("*.yaml"))
# Figures of the same classes are drawn in the quick tests.
SLOW = (
    "center_angular",
    "center_exact_bounds",
    "center_l2_baseline",
    "center_training_noise",
    "center_faces_boxes",
    "center_tvd",
    "dssn_methods",
)
SLOW += ("cohen_high_probability", "cohen_photographs", "dssn_all", "dssn_photographs", "cohen_training_noise")
FORMULA = re.compile(r"\$[^$]*\$")
SPELLED_OUT = re.compile(r"_|\b(sigma|eps|alpha|beta|lambda|tau|l1|l2)\b")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NAMES]
)
def test_every_figure_is_legible(name, figure, committed):
    chosen = figure(name)
    if chosen.compares:
        return
    for runs in selection(name, chosen, committed, ()).drawn.values():
        drawn = chosen.draw(runs).figure
        if drawn is not None:
            check(drawn)
            plt.close(drawn)


def check(drawn):
    assert drawn.get_size_inches()[0] <= WIDTH
    for axis in drawn.axes:
        assert len(series_of(axis)) <= MOST, axis.get_title()
    for text in drawn.findobj(Text):
        words = FORMULA.sub("", text.get_text())
        assert not SPELLED_OUT.search(words), words
        assert not words or text.get_fontsize() >= LEAST, words


def series_of(axis):
    """The distinct styles of an axis' lines. Marks without a line belong to the line of their color."""
    styles = [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axis.lines]
    lines = {style for style in styles if style[2] != "None"}
    return lines | {style for style in styles if style[2] == "None" and style[0] not in {line[0] for line in lines}}


def test_titles_are_words():
    assert title_of("digits_gaussian") == "Digits, Gaussian noise"
    assert title_of("cifar10_jpeg_gaussian") == "CIFAR-10, JPEG copy, Gaussian noise"
    assert title_of("imagenet_gaussian_published") == "ImageNet, Gaussian noise, the authors' results"
    assert title_of("my_own_run") == "my own run"
    experiments = [path.stem for path in (CONF / "experiment").glob("*.yaml")]
    assert not [name for name in experiments if "_" in FORMULA.sub("", title_of(name))]
