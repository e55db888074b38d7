"""Names beside curves: clear of all curves and of each other, and with a line to the curve where there is no room."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text

from experiments.report.direct_labels import Curve, name_curves, write_names

X = np.linspace(0, 1, 50)


@pytest.fixture
def axis():
    figure, axis = plt.subplots(figsize=(3.9, 2.6))
    axis.set(xlim=(0, 1), ylim=(0, 1))
    figure.draw_without_rendering()  # places the axis
    yield axis
    plt.close(figure)


def boxes_of(axis):
    axis.figure.draw_without_rendering()  # places the names
    return [Text.get_window_extent(text) for text in axis.texts]  # without the lines to the curves


@pytest.mark.parametrize("bend", [1.0, 0.02])  # the second: the curves are so close that names have no room between
def test_names_stand_clear_of_curves_and_of_each_other(axis, bend):
    curves = [Curve(X, 1 - X ** (1 + bend * k), f"method {k}", f"C{k}") for k in range(3)]
    assert write_names(axis, curves)
    boxes = boxes_of(axis)
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])
    points = np.concatenate([axis.transData.transform(np.column_stack([c.x, c.y])) for c in curves])
    assert not any(box.contains(*point) for box in boxes for point in points)


def test_a_name_without_room_beside_its_curve_has_a_line_to_it(axis):
    curves = [Curve(X, level + 0 * X, f"at {level}", "C0") for level in (0.9, 0.94, 0.98)]
    assert write_names(axis, curves)
    led = [text for text in axis.texts if text.arrow_patch]
    assert [text.get_text() for text in led] == ["at 0.94", "at 0.98"]
    for text, level in zip(led, (0.94, 0.98), strict=True):
        assert text.xy[1] == pytest.approx(level)


def test_names_that_fit_nowhere_are_in_a_legend(axis):
    curve = Curve(X, X, "a name that is much too long for this small axis" * 2, "k")
    assert not write_names(axis, [curve])
    axis.plot(curve.x, curve.y, label="short")
    name_curves(axis.figure, [(axis, [curve])])
    assert not axis.texts
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["short"]
