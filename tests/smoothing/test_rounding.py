"""Outward rounding."""

from math import isnan

import pytest

from smoothing.rounding import BETA_MARGIN, down, up


@pytest.mark.parametrize("rounding", [up, down])
def test_rounding_outward_moves_every_number_but_zero_and_those_without_end(rounding):
    side = 1 if rounding is up else -1
    for value in (5e-324, 1e-310, 1e-20, 0.3, 1.0, 1e300):
        for signed in (value, -value):
            assert (rounding(signed) - signed) * side > 0
            assert (rounding(signed, 0.0) - signed) * side > 0
            assert abs(rounding(signed) - signed) <= abs(signed) * 1.01e-13 + 1e-323
            assert (rounding(signed, BETA_MARGIN) - rounding(signed)) * side >= 0
            if value >= 1e-20:  # the margin itself; of the least numbers only the step is left
                assert abs(rounding(signed) - signed) >= abs(signed) * 0.99e-13
                assert abs(rounding(signed, BETA_MARGIN) - signed) >= abs(signed) * 0.99e-10
    assert rounding(0.0) == 0
    assert rounding(float("inf")) == float("inf")
    assert rounding(float("-inf")) == float("-inf")
    assert isnan(rounding(float("nan")))
