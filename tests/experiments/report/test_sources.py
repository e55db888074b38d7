"""source=, table= and labels=: lists, run folders, and what is said of wrong ones."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep

from experiments.config.command_line import FOLDERS
from experiments.config.quoting import quoted
from experiments.report.sources import sources_of
from smoothing import SettingError

TEXTS = ("source", "table", "labels")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("source=results/a/sigma=0.5-1d", "results/a/sigma=0.5-1d"),
        ("source=[results/a, results/b/sigma=0.5-1d]", ["results/a", "results/b/sigma=0.5-1d"]),
        ("source=['a=1','b c']", ["a=1", "b c"]),
        ("source=['a=1',b=2]", ["a=1", "b=2"]),
        ('table="a/b=c"', "a/b=c"),
        ("labels=[ours ($n=10^5$), Cohen et al.]", ["ours ($n=10^5$)", "Cohen et al."]),
        ("labels=['ours, 2', it's]", ["ours, 2", "it's"]),
        ("labels=[ours (new), theirs]", ["ours (new)", "theirs"]),
        ("source=null", None),
    ],
)
def test_folders_and_labels_need_no_quotes_for_hydra(word, value):
    assert OverridesParser.create().parse_override(quoted(word, TEXTS)).value() == value


@pytest.mark.parametrize(
    ("word", "parsed"),
    [
        ("dataset.root=~/my photos", "~/my photos"),
        ("dataset.root=~/a,~/b", ["~/a", "~/b"]),
        ("dataset.file=~/rows.csv", "~/rows.csv"),
        ("+indices=[~/a, ~/b]", ["~/a", "~/b"]),
        ("dataset.root=photos (2), old", "photos (2), old"),
    ],
)
def test_a_folder_needs_no_quotes_for_hydra(word, parsed):
    found = OverridesParser.create().parse_override(quoted(word, FOLDERS)).value()
    assert ([each.text for each in found.list] if isinstance(found, ChoiceSweep) else found) == parsed


def test_other_keys_stay_as_typed():
    assert quoted("figure.radii=a=b", TEXTS) == "figure.radii=a=b"


@pytest.fixture
def folders(tmp_path):
    for name in ("a", "b", "c/a"):
        (tmp_path / name).mkdir(parents=True)
        run = tmp_path / name / "sigma=0.5"
        run.mkdir()
        (run / "run.json").write_text("{}")
    return tmp_path


def test_names_are_as_short_as_they_can_be(folders):
    def named(*words):
        return [source.label for source in sources_of([str(folders / word) for word in words])]

    assert named("a", "b") == ["a", "b"]
    assert named("a/sigma=0.5", "b/sigma=0.5") == ["a", "b"]
    assert named("a", "c/a") == [f"{folders.name}/a", "c/a"]
    assert named("a/sigma=0.5", "c/a/sigma=0.5")[1].endswith("c/a/sigma=0.5")
    (one,) = sources_of(str(folders / "a"))
    assert one.label == "a"
    assert sources_of(None) == []


@pytest.mark.parametrize(
    ("typed", "labels", "says"),
    [
        (["nowhere"], None, "there is no folder 'nowhere'"),
        (["a/sigma=0.5/run.json"], None, "is a file; give its folder"),
        (["a", "a/"], None, "occurs twice"),
        ([], None, "got an empty list"),
        (["a", 3], None, "got 3"),
        (["a", "b"], ["ours"], "labels: expected 2, one for each folder of source=, got 1: ours"),
        (["a", "b"], ["ours", "ours"], "labels: 'ours' occurs twice"),
        (["a", "b"], ["ours", " "], "got an empty one"),
        (["a"], [r"$\foo$"], "cannot be read; correct it, or remove"),
        (None, ["ours"], "labels: expected also source="),
    ],
)
def test_wrong_input_gets_one_line(folders, monkeypatch, typed, labels, says):
    monkeypatch.chdir(folders)
    with pytest.raises(SettingError) as caught:
        sources_of(typed, labels)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
