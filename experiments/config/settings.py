"""The checked, typed settings of a command. All code reads these, never Hydra's configuration.

`schema` derives Hydra's schemas from these classes, so a new key is one line here and one, with its comment, in conf/.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.config.targets import called, located


@dataclass(frozen=True)
class Group:
    """A class or function and its arguments: `_target_` and the other keys of a group in YAML.

    Attributes:
        target: the dotted name, such as smoothing.Gaussian.
        arguments: plain values by name. A nested group is a dictionary with its own `_target_`.
    """

    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of the dotted name, for messages."""
        return self.target.rpartition(".")[2]

    @property
    def located(self) -> Callable[..., Any]:
        """The class or function itself. Raises SettingError if there is none of that name."""
        return located(self.target)

    def get(self, argument: str, default: Any = None) -> Any:
        """The value of an argument, or `default` if the group does not set it."""
        return self.arguments.get(argument, default)

    def replaced(self, **arguments: Any) -> "Group":
        """A copy of the group with these arguments changed."""
        return Group(self.target, {**self.arguments, **arguments})

    def build(self, **given: Any) -> Any:
        """Call the class or function with its arguments and those that the run passes. Raises SettingError."""
        return called(self.target, {**self.arguments, **given})

    @classmethod
    def from_dict(cls, node: Mapping[str, Any]) -> "Group":
        """The group that `as_dict` wrote, such as one in run.json. For unchecked groups see `check`."""
        return cls(node["_target_"], {key: value for key, value in node.items() if key != "_target_"})

    def as_dict(self) -> dict[str, Any]:
        """The group as in YAML and run.json: `_target_`, then the arguments."""
        return {"_target_": self.target, **self.arguments}


@dataclass(frozen=True)
class Folder:
    """A folder that a command writes to: the key `root` of results or checkpoints."""

    root: str


@dataclass(frozen=True)
class Figures:
    """Where figures go, and which are drawn.

    Attributes:
        root: the folder.
        only: names of the figures; None: all.
    """

    root: str
    only: list[str] | None = None


@dataclass(frozen=True)
class Shard:
    """The part of a run's examples that a command certifies: the index-th of `count`, counted from 0."""

    index: int = 0
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every key of certify.py and train.py, which share their experiment files. A group that is not chosen is None."""

    name: str
    paper: str | None = None  # this and the next three are for reports only, not part of the identity
    item: str | None = None
    shows: str | None = None
    needs: str | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    compiled: bool = False
    batch_size: int | None = None
    eps: Any
    limit: int | None = None
    indices: list[int] | None = None
    results: Folder = Folder("results")
    checkpoints: Folder = Folder("checkpoints")
    checkpoint: str | None = None
    allow_mismatch: bool = False
    debug: bool = False
    shard: Shard = Shard()
    also: list[str] = field(default_factory=list)
    dataset: Group
    model: Group
    noise: Group | None = None
    certifier: Group
    metric: Group | None = None
    trainer: Group | None = None
    logger: Group | None = None

    def as_dict(self) -> dict[str, Any]:
        """The settings as in run.json, where a run without noise or without a logger has an empty group."""
        found = as_dict(self)
        return found | {name: {} for name in ("noise", "logger") if not found[name]}


@dataclass(frozen=True, kw_only=True)
class PlotSettings:
    """Every key of plot.py."""

    figure: dict[str, Any] | None = None  # for `report.figure.figure_of`
    table: Any = None  # a folder or several, for `report.sources.sources_of`
    source: Any = None
    labels: Any = None
    results: Folder = Folder("results")
    figures: Figures = Figures("figures")
    debug: bool = False
    logger: Group | None = None

    def as_dict(self) -> dict[str, Any]:
        return as_dict(self)


def as_dict(settings: Any) -> dict[str, Any]:
    """Settings as a dictionary of plain values."""
    return {f.name: _plain(getattr(settings, f.name)) for f in dataclasses.fields(settings)}


def _plain(value: Any) -> Any:
    if isinstance(value, Group):
        return value.as_dict()
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
