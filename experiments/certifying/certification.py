"""The certification run: certify example by example, write rows into the run folder, and resume earlier work."""

import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.certifying.build import assembled
from experiments.certifying.calibrating import require_other_examples
from experiments.certifying.computed import Computed
from experiments.certifying.contents import input_hash
from experiments.certifying.held_out import calibrate, held_out, require_not_held_out
from experiments.certifying.inputs import Listed, require_fixed
from experiments.certifying.progress import Progress, announcement
from experiments.certifying.rereading import reread_from_siblings, taken_from_shards
from experiments.certifying.rows import Certification, rows_of_each
from experiments.config.settings import Settings, Shard
from experiments.data import Dataset, MissingDataError
from experiments.data.indices import indices_of
from experiments.machine.device import choose_device, device_name, keep_freed_memory
from experiments.machine.stopping import stop_if_asked
from experiments.runs.examples import example_rows
from experiments.runs.run_folder import RunFolder
from experiments.runs.table import TableWriter, read_table
from experiments.training.base_function import example_of, input_of
from smoothing import Certifier, Predict, SettingError, SmoothingWarning
from smoothing.inputs import pixels_warning


def certify(settings: Settings) -> Path:
    """Certify the chosen examples and return the path of the run's table.

    Examples that already have rows are skipped. If only the draws of an example are stored, its rows are computed from
    them. All settings are checked before the first sample is drawn.

    Raises:
        SmoothingError: settings, data or the base function cannot be used; the message says what to do.
    """
    return certify_together([settings]).tables[0]


@dataclass(frozen=True)
class Certified:
    """What certify.py has done.

    Attributes:
        tables: the table of each run.
        asked: the examples that were asked for, those of all shards. A table may hold more from earlier.
    """

    tables: list[Path]
    asked: list[int]


def certify_together(several: Sequence[Settings]) -> Certified:
    """As `certify`, for several runs of center smoothing that use the same outputs and differ in their metric only.

    Raises:
        SettingError: the runs differ in more, or use another certifier.
    """
    keep_freed_memory()
    first, device = several[0], choose_device(several[0].device)
    dataset: Dataset = first.dataset.build()
    runs = assembled(several, dataset, device)
    held = held_out(runs[0].certifier, dataset, first.seed)
    chosen = choose_examples(dataset, first, held)
    indices = dataset.check(chosen)
    whole = choose_examples(dataset, replace(first, shard=Shard()), held) if first.shard.count > 1 else chosen
    skipped = sorted(set(chosen) - set(indices))
    require_other_examples(first, indices)
    require_fixed(dataset, indices)
    listed = [*indices, *(index for index in held if index not in indices)]
    examples = example_rows(dataset, listed, partial(input_hash, dataset))
    inputs = {row["index"]: row["input"] for row in examples}
    for settings, run in zip(several, runs, strict=True):
        _warn_of_another_precision(settings, run.folder)
    logger = first.logger.build(config=first.as_dict()) if first.logger else None
    with ExitStack() as stack:
        stack.enter_context(one_line_warnings())
        tables = [stack.enter_context(run.folder.table(run.schema)) for run in runs]
        for run, table in zip(runs, tables, strict=True):
            run.folder.describe(examples)
            if _missing([run], [table], indices):
                run.folder.expect(len(whole), skipped)
        computed = Computed(runs, dataset, device, first.seed)
        _fill_without_sampling(runs, tables, indices, computed)
        missing = _missing(runs, tables, indices)
        if missing:
            records = computed.records([whole[0], indices[0]])
            image = example_of(dataset, missing[0], runs[0].certifier.f.f, device)
            _begin(runs, records, image, len(missing), first.batch_size)
            if logger and tables[0].done:
                logger.log(read_table(runs[0].folder.path).to_dict("records"))
            calibrate(runs, dataset, held, device, inputs)
            _certify(runs, tables, dataset, missing, device, inputs, logger)
        for run in runs:
            run.folder.end()
    if logger:
        logger.table("certificates", read_table(runs[0].folder.path))
        logger.finish()
    return Certified([run.folder.table_path for run in runs], whole)


def _missing(runs: Sequence[Certification], tables: Sequence[TableWriter], indices: Sequence[int]) -> list[int]:
    """The examples that lack a row in one of the tables."""
    return [i for i in indices if any(not t.holds(r.keys(i)) for t, r in zip(tables, runs, strict=True))]


def _fill_without_sampling(
    runs: Sequence[Certification], tables: Sequence[TableWriter], indices: Sequence[int], computed: Computed
) -> None:
    """Copy rows of the runs' own shards, then read rows of other runs again.

    Raises SmoothingError if rows are still missing and a run's folder holds rows of another model, noise or metric.
    """
    for k, (run, table) in enumerate(zip(runs, tables, strict=True)):
        _tell(taken_from_shards(run, table, indices))
        if _missing([run], [table], indices):
            computed.require_same(k, run.folder.path)
            _tell(reread_from_siblings(run, table, indices, partial(computed.agrees, k)))


def _begin(
    runs: Sequence[Certification],
    records: Sequence[dict[str, Any]],
    image: Tensor,
    examples: int,
    batch_size: int | None,
) -> None:
    """Choose the batch size, record in each run.json that the run starts, and announce the work on stderr.

    Args:
        runs: the certifications.
        records: what each computes at an example, see `Computed.records`.
        image: an example, (*shape), on the device.
        examples: number of examples without rows.
        batch_size: see `_prepare`.
    """
    certifier, folder, device = runs[0].certifier, runs[0].folder, device_name(image.device)
    for run, record in zip(runs, records, strict=True):
        arithmetic = _prepare(run.certifier, image, examples, batch_size, folder)
        run.folder.begin({"device": device, "arithmetic": arithmetic, "computed": record})
    x = input_of(certifier.f.f, image[None])[0]
    print(announcement(certifier, x, device, folder.path, examples), file=sys.stderr, flush=True)


def _tell(text: str) -> None:
    if text:
        print(text, file=sys.stderr)


def _certify(
    runs: Sequence[Certification],
    tables: Sequence[TableWriter],
    dataset: Dataset,
    indices: list[int],
    device: torch.device,
    inputs: Listed,
    logger: Any,
) -> None:
    """Certify examples one after another, and write their rows into the tables."""
    certifier = runs[0].certifier
    with Progress(len(indices), certifier.samples) as progress:
        certifier.engine.on_samples = progress.samples
        for each in rows_of_each(runs, dataset, indices, device, inputs):
            for table, rows in zip(tables, each, strict=True):
                table.write(rows)
            progress.example(each[0])
            if logger:
                logger.log(each[0])
            stop_if_asked()


def _prepare(
    certifier: Certifier, image: Tensor, examples: int, batch_size: int | None, folder: RunFolder
) -> dict[str, Any]:
    """Choose the batch size, and return how the base function is computed, for run.json.

    If `batch_size` is null, the fastest one is measured once. A run that resumes on the same device keeps its batch
    size, so that its rows equal those of an uninterrupted run to the last digit.
    """
    if not certifier.samples:
        return certifier.f.arithmetic()
    x = input_of(certifier.f.f, image[None])[0]
    if warning := pixels_warning(x, certifier.noise):
        warnings.warn(warning, SmoothingWarning, stacklevel=2)
    certifier.f(x[None])
    if batch_size is None:
        certifier.engine.batch_size = folder.batch_size_on(device_name(x.device))
    return certifier.f.arithmetic() | {"batch_size": certifier.engine.tune(x, examples * certifier.samples)}


def _warn_of_another_precision(settings: Settings, folder: RunFolder) -> None:
    """Warn if predictions use another precision than existing certificates, because they are of another function."""
    if settings.certifier.located is not Predict:
        return
    own = {key: value for key, value in folder.identity.items() if key not in ("certifier", "seed", "precision")}
    for path in sorted(folder.path.parent.glob("*/run*.json")):
        try:
            other = json.loads(path.read_text())["identity"]
            precision = other.pop("precision")
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # not a run.json, so there are no certificates
        if precision != settings.precision and own.items() <= other.items():
            print(
                f"{path}: its certificates are for the function at precision={precision}; "
                f"predictions at {settings.precision} are of another function",
                file=sys.stderr,
            )


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Print each warning once, as one line on stderr."""
    shown = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        line = " ".join(str(message).split())
        if line not in shown:
            shown.add(line)
            print(f"warning: {line}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def choose_examples(dataset: Dataset, settings: Settings, held: Sequence[int] = ()) -> list[int]:
    """This shard's part of the first `limit` of `indices`, or of the data set's own choice. Raises SettingError.

    Args:
        dataset: the data set.
        settings: the run's settings.
        held: examples that calibrate the certifier; they are left out, and refused in `indices`.
    """
    indices, limit, shard, apart = settings.indices, settings.limit, settings.shard, set(held)
    if limit is not None and limit < 1:
        raise SettingError(f"limit: expected at least 1, got {limit}")
    if indices is None:
        chosen = [index for index in indices_of(dataset) if index not in apart]
    else:
        chosen = list(dict.fromkeys(indices))
        require_not_held_out(chosen, held)
        for index in chosen:
            try:
                dataset[index]
            except IndexError as error:
                raise SettingError(f"indices: {error}") from error
            except (MissingDataError, OSError):
                continue  # `Dataset.check` reports it
    if not chosen:
        source = "indices" if indices is not None else f"dataset: {type(dataset).__name__}.indices()"
        raise SettingError(f"{source}: expected at least one example to certify, got none")
    return chosen[:limit][shard.index :: shard.count]
