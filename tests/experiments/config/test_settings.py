"""Settings: frozen, of the keys that Hydra knows, and written into run.json as they always were."""

import dataclasses
import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.config.check import checked
from experiments.config.schema import groups, schema
from experiments.config.settings import Group, PlotSettings, Settings
from smoothing import Gaussian

ROOT = Path(__file__).parents[3]


def test_a_group_is_a_class_and_its_arguments():
    group = Group("smoothing.Gaussian", {"sigma": 0.5})
    assert (group.name, group.located, group.get("sigma"), group.get("grid", 3)) == ("Gaussian", Gaussian, 0.5, 3)
    assert group.as_dict() == {"_target_": "smoothing.Gaussian", "sigma": 0.5}
    assert Group.from_dict(group.as_dict()) == group
    assert group.replaced(sigma=1.0).build(grid=0).sigma == 1.0
    assert group.build().sigma == group.get("sigma") == 0.5


def test_settings_are_read_by_name_and_never_changed(settings):
    made = settings("noise.sigma=0.5", "shard.count=3")
    assert (made.noise.get("sigma"), made.shard.count, made.results.root, made.trainer) == (0.5, 3, "results", None)
    with pytest.raises(FrozenInstanceError):
        made.seed = 1
    assert replace(made, seed=1).noise is made.noise


@pytest.mark.parametrize("kind", [Settings, PlotSettings])
def test_hydra_knows_the_keys_of_the_class(kind):
    known = schema(kind)
    assert list(known) == [f.name for f in dataclasses.fields(kind)]
    OmegaConf.merge(known, {name: {"anything": 3} for name in groups(kind)})  # `check` looks into groups, Hydra not
    with pytest.raises(Exception, match="abc"):
        known.debug = "abc"


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_run_json_is_written_as_it_was(step):
    """Key by key in the same order, but for keys and arguments that are younger than a committed run."""
    for file in sorted((ROOT / "results").glob("*/*/run*.json"))[::step]:
        config = json.loads(file.read_text())["config"]
        defaults = OmegaConf.to_container(schema(Settings))
        written = checked(OmegaConf.merge(defaults, config), Settings).as_dict()
        kept = {key: written[key] for key in written if key in config}
        assert list(kept) == list(config)
        for group in groups(Settings):
            if kept.get(group):
                kept[group] = {key: kept[group][key] for key in kept[group] if key in config[group]}
        config["logger"] = config["logger"] or {}  # null in the oldest
        assert json.dumps(kept) == json.dumps(config), file


def test_what_is_absent_is_none(settings):
    made = settings("experiment=digits_undefended")
    assert (made.noise, made.metric, made.logger) == (None, None, None)
    assert [made.as_dict()[name] for name in ("noise", "metric", "logger")] == [{}, None, {}]
