"""The message for a key that an experiment sets for another class names that experiment."""

import pytest

from smoothing import SettingError

pytestmark = pytest.mark.long


@pytest.mark.parametrize("certifier", ["certify", "predict", "attack"])
def test_a_certifier_without_its_experiment(settings, certifier):
    with pytest.raises(SettingError, match=r"certifier\.m: .* experiment=demo sets .*, digits_gaussian,") as caught:
        settings(f"certifier={certifier}")
    assert "faces_jaccard" not in str(caught.value)  # it sets the key as well


def test_a_mistyped_key_is_not_blamed_on_the_experiment(settings):
    with pytest.raises(SettingError, match=r"certifier\.q: no such key") as caught:
        settings("+certifier.q=3")
    assert "experiment" not in str(caught.value)
