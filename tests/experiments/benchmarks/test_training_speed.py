"""The bench of training: its bare loop has the trainers' passes."""

import pytest

from experiments.benchmarks import training
from models.classifiers import LeNet


@pytest.mark.parametrize(
    "method",
    ["gaussian", "smoothmix", *(pytest.param(m, marks=pytest.mark.slow) for m in ("stability", "consistency"))],
)
def test_a_bare_loop_evaluates_as_many_rows_as_the_trainer(method, monkeypatch):
    monkeypatch.setattr(training, "IMAGES", training.trainer_of(method).batch_size)
    rows, forward = [], LeNet.forward

    def counted(self, images):
        rows.append((len(images), images.requires_grad))
        return forward(self, images)

    monkeypatch.setattr(LeNet, "forward", counted)
    training.bare_epoch(method)()
    bare = rows.copy()
    rows.clear()
    training.our_epoch(method)()
    assert sum(count for count, _ in rows) == sum(count for count, _ in bare)
    assert sum(count for count, wanted in rows if wanted) == sum(count for count, wanted in bare if wanted)


def test_the_table_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(training, "PASSES", {"gaussian": training.PASSES["gaussian"]})
    monkeypatch.setattr(training, "in_turn", lambda ways: {name: training.Measured([2.0, 2.0], 0.0) for name in ways})
    training.main()
    assert "100% of a bare loop with its 1 pass" in (tmp_path / training.OUT).read_text()
