"""The folder of one run: results/<experiment>/<certifier, noise and samples>-<hash of the identity>/.

certificates.csv            the table (certificates.<k>-of-<K>.csv for shards)
examples.csv                file, label, class and hash of each example, as far as the data set has them
calibration.csv             the rows of the calibration examples, if the certifier has some
run.json                    identity, configuration, contents, computed numbers, versions, commit, device, times
draws/<index>.npz           the draws of an example, from which its certificates can be computed again
"""

import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints
from zipfile import BadZipFile

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from torch import Tensor

from experiments.config.command_line import command
from experiments.config.identity import flattened
from experiments.config.settings import Settings
from experiments.config.user_code import targets
from experiments.machine.files import sync_folder, write_atomically
from experiments.runs.contents import Contents
from experiments.runs.examples import changed, listed_rows, require_unchanged
from experiments.runs.folder_name import folder_of
from experiments.runs.input_space import InputSpace
from experiments.runs.provenance import provenance
from experiments.runs.table import EXAMPLES, Schema, TableWriter
from smoothing import CenterDraws, SmoothingError

READ_AS: dict[Any, Any] = {Tensor: torch.from_numpy, bool: bool, str: str}  # else arrays
READ_AS |= {kind: number for number in (int, float) for kind in (number, number | None)}


class RunFolder:
    """The folder with the results of one identity. A run with the same identity resumes there.

    Args:
        root: results.root.
        settings: the run's settings.
        identity: the run's identity.
        noise_state: `Noise.state`; {} for most noises.
        contents: hashes of the weights, examples, classes and source, see `Contents`.
        space: norm and units of input radii.

    Raises:
        SmoothingError: shard.index or shard.count is out of range; or the folder holds a run with another identity or
            with other weights, examples or classes.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings,
        identity: dict[str, Any],
        noise_state: dict[str, Any] | None = None,
        contents: Contents | None = None,
        space: InputSpace | None = None,
    ) -> None:
        self.path = folder_of(root / settings.name, identity)
        index, count = settings.shard.index, settings.shard.count
        if count < 1:
            raise SmoothingError(f"shard.count: expected at least 1, got {count}")
        if not 0 <= index < count:
            raise SmoothingError(f"shard.index: expected 0 to shard.count - 1 = {count - 1}, got {index}")
        suffix = f".{index}-of-{count}" if count > 1 else ""
        self.table_path = self.path / f"certificates{suffix}.csv"
        self._record_path = self.path / f"run{suffix}.json"
        self._suffix = suffix
        self._settings, self.identity, self._noise_state = settings, identity, noise_state or {}
        self._contents, self._space = contents or Contents(), space or InputSpace()
        self._inputs: dict[int, str | None] = {}  # hashes of the examples that `describe` listed
        self._planned: dict[str, Any] = {}  # "asked" and "skipped", see `expect`
        self._refuse_another_identity()

    def table(self, schema: Schema) -> TableWriter:
        """The writer of the run's table. Raises SmoothingError, see `TableWriter`."""
        self.path.mkdir(parents=True, exist_ok=True)
        return TableWriter(self.table_path, schema)

    def describe(self, examples: Sequence[dict[str, Any]]) -> None:
        """Add rows to examples.csv for examples that are not listed yet.

        Raises SmoothingError if one of them was another when it was listed: rows would be mixed.
        """
        if not examples:
            return
        self._inputs |= {row["index"]: row["input"] for row in examples}
        require_unchanged(self._inputs, self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        with TableWriter(self.path / f"examples{self._suffix}.csv", EXAMPLES) as table:
            table.write(examples)

    def expect(self, asked: int, skipped: Sequence[int] = ()) -> None:
        """Record in run.json how many examples the run is to have, unless an earlier command asked for more.

        A run that was stopped stays unfinished, even if a later command asks for fewer. If there is no run.json yet,
        `begin` or `begin_from` records it.

        Args:
            asked: number of examples that are asked for, in all shards.
            skipped: those of this shard that cannot be read, and have no rows.
        """
        self._planned = {"asked": asked, "skipped": list(skipped)}
        record = self._record()
        if record and record.get("asked", 0) < asked:
            self._write(record | self._planned)

    def begin(self, how: dict[str, Any]) -> None:
        """Record in run.json that the run starts or resumes.

        Args:
            how: "device", its name; "arithmetic", the precision, compilation and batch size of the base function; and
                "computed", a few numbers that are computed at an example, to compare later.
        """
        (self.path / "draws").mkdir(parents=True, exist_ok=True)
        for folder in (self.path, self.path.parent):
            sync_folder(folder)
        known = provenance(targets(self._settings.as_dict()))
        start = {"started": _now(), "ended": None} | how | _command() | known
        record = self._record()
        if record is None:
            self._write(
                {
                    "identity": self.identity,
                    "seed": self._settings.seed,
                    "config": self._settings.as_dict(),
                    **({"noise_state": self._noise_state} if self._noise_state else {}),
                    **self._contents.record(),
                    **self._space.record(),
                    **self._planned,
                    **start,
                    "resumed": [],
                }
            )
        else:
            asked = self._planned.get("asked", 0)
            record["resumed"].append(start | ({"asked": asked} if asked else {}))
            self._write(record | (self._planned if asked >= record.get("asked", 0) else {}))

    def begin_from(self, source: Path, record: dict[str, Any], examples: list[int]) -> None:
        """Record in run.json that rows are read again from another run, whose provenance is kept.

        Args:
            source: the other run's folder.
            record: its run.json.
            examples: the indices of the examples.
        """
        (self.path / "draws").mkdir(parents=True, exist_ok=True)
        self.describe(listed_rows(source, examples))
        reading = {
            "from": f"{source.parent.name}/{source.name}",
            "examples": examples,
            "at": _now(),
            **_command(),
            **provenance(targets(self._settings.as_dict())),
        }
        own = self._record()
        if own is None:
            apart = ("command", "read_again", "asked", "skipped")
            kept = {key: value for key, value in record.items() if key not in apart}
            own = kept | {"identity": self.identity, "config": self._settings.as_dict()} | self._planned
        own["read_again"] = [*own.get("read_again", []), reading]
        self._write(own)

    def changed_since(self, folder: Path) -> set[int]:
        """The examples that are others now than those that the rows of another run's folder are of."""
        return changed(self._inputs, folder)

    def copy_draws(self, index: int, source: Path) -> None:
        """Copy an example's draws from another run's folder."""
        content = (source / "draws" / f"{index}.npz").read_bytes()
        write_atomically(self._draws_path(index), content, writer=self._suffix)

    def holds_contents_of(self, record: dict[str, Any]) -> bool:
        """Whether another run.json has the same weights, examples and classes; see `Contents`."""
        try:
            self._contents.require_those_of(record, self.path)
        except SmoothingError:
            return False
        return True

    def end(self) -> None:
        """Record in run.json that the latest start or resumption has finished, unless this is recorded already."""
        record = self._record()
        if record is None or (record, *record["resumed"])[-1]["ended"]:
            return
        record["ended"] = _now()
        for start in record["resumed"][-1:]:
            start["ended"] = record["ended"]
        self._write(record)

    def batch_size_on(self, device: str) -> int | None:
        """The batch size of the latest start on this device; None if there was none."""
        record = self._record() or {"resumed": []}
        starts = [start for start in (record, *record["resumed"]) if start.get("device") == device]
        sizes = [start["arithmetic"].get("batch_size") for start in starts if "arithmetic" in start]
        return sizes[-1] if sizes else None

    def save(self, index: int, draws: Any, seconds: float) -> None:
        """Save an example's draws, a dataclass of tensors, arrays and numbers, completely or not at all.

        A field that is None is left out. It must have the default None. So is `Draws.origin`: run.json says it.
        """
        names = [field.name for field in fields(draws) if field.name != "origin"]
        known = {name: value for name in names if (value := getattr(draws, name)) is not None}
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in known.items()}
        content = io.BytesIO()
        np.savez_compressed(content, seconds=seconds, **arrays)
        write_atomically(self._draws_path(index), content.getvalue(), writer=self._suffix)

    def load(self, index: int, kind: type = CenterDraws) -> tuple[Any, float] | None:
        """An example's draws, of class `kind`, and the seconds that drawing took; None if there are none yet."""
        return load_draws(self._draws_path(index), kind)

    def _draws_path(self, index: int) -> Path:
        return self.path / "draws" / f"{index}.npz"

    def _record(self) -> dict[str, Any] | None:
        return json.loads(self._record_path.read_text()) if self._record_path.exists() else None

    def _write(self, record: dict[str, Any]) -> None:
        write_atomically(self._record_path, (json.dumps(record, indent=2) + "\n").encode())

    def _refuse_another_identity(self) -> None:
        for path in sorted(self.path.glob("run*.json")):
            try:
                record = json.loads(path.read_text())
                found = record["identity"]
            except (AttributeError, ValueError, KeyError, TypeError) as error:
                raise SmoothingError(
                    f"{path}: not a run.json of this suite; move the folder away to start again"
                ) from error
            if found != self.identity:
                flat, wanted = flattened(found), flattened(self.identity)
                keys = sorted(key for key in flat.keys() | wanted.keys() if flat.get(key) != wanted.get(key))
                raise SmoothingError(
                    f"{path}: this folder holds another run, which differs in {', '.join(keys)}; set another "
                    "results.root"
                )
            self._contents.require_those_of(record, path)


def load_draws(path: Path, kind: type = CenterDraws) -> tuple[Any, float] | None:
    """Draws, of class `kind`, and their seconds, from a file that `RunFolder.save` wrote; None if there is no file.

    Fields with a default may be missing: they were None, or were added later.

    Raises:
        SmoothingError: the file is damaged or holds something else.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            hints = get_type_hints(kind)
            known = [f.name for f in fields(kind) if f.default is MISSING or f.name in stored]
            found = {name: READ_AS.get(hints[name], np.asarray)(stored[name]) for name in known}
            return kind(**found), float(stored["seconds"])
    except (EOFError, KeyError, TypeError, ValueError, BadZipFile, zlib.error) as error:
        raise SmoothingError(f"{path}: damaged draws; move the file away to draw them again") from error


def _command() -> dict[str, str]:
    """The command that reproduces this run, or this point of a sweep; {} outside of a Hydra command."""
    if not HydraConfig.initialized():
        return {}
    hydra = HydraConfig.get()
    return {"command": command(hydra.job.name, hydra.overrides.task)}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
