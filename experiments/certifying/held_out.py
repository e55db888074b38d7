"""The calibration examples of a run: which they are, and the rows that they give; see `smoothing.Calibrated`."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from experiments.certifying.inputs import Listed, input_to_certify
from experiments.certifying.rows import Certification, row
from experiments.data import Dataset, LabelledDataset
from experiments.data.indices import indices_of
from experiments.machine.stopping import stop_if_asked
from experiments.machine.words import counted
from experiments.runs.table import Schema, TableWriter, read_rows
from smoothing import Calibrated, Certifier, SettingError
from smoothing.sampling import Procedure

SPAWN = 2**32 - 1  # of the seed that chooses them, apart from the seeds of noise
FILE = "calibration"  # .csv, or .<k>-of-<K>.csv


def held_out(certifier: Certifier, dataset: Dataset, seed: int) -> list[int]:
    """The examples that calibrate a certifier, in order, drawn at random by the seed; [] if it takes none.

    They depend on nothing else, so all shards and resumed runs have the same ones. As a random part of the examples
    they are exchangeable with the others, whatever the order of the data set.

    Raises:
        SettingError: the data set has no labels, or too few examples to leave one.
    """
    if not isinstance(certifier, Calibrated):
        return []
    indices, count = indices_of(dataset), certifier.held_out
    if not isinstance(dataset, LabelledDataset):
        raise SettingError(f"dataset: expected labels, to calibrate on, and {type(dataset).__name__} has none")
    if count >= len(indices):
        raise SettingError(
            f"certifier.held_out: expected fewer than the {len(indices)} examples of the data set, got {count}"
        )
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPAWN,))).permutation(len(indices))
    return sorted(indices[k] for k in order[:count])


def require_not_held_out(indices: Sequence[int], held: Sequence[int]) -> None:
    """Raises SettingError if an example that calibrates the certifier is to be certified."""
    if used := sorted(set(indices) & set(held)):
        raise SettingError(
            f"indices: example {used[0]} calibrates the certifier, so its certificate would not hold; leave indices out"
        )


def calibrate(
    runs: Sequence[Certification], dataset: Dataset, held: Sequence[int], device: torch.device, inputs: Listed
) -> None:
    """Calibrate the certifiers that need it. Examples that have a row in calibration.csv are not sampled again.

    Raises SettingError if an example is another than the one that is listed in `inputs`; see `input_to_certify`.
    """
    for run in runs:
        if isinstance(run.certifier, Calibrated):
            assert isinstance(dataset, LabelledDataset)  # see `held_out`
            run.certifier.calibrate(_rows(run, run.certifier, dataset, held, device, inputs))


def _rows(
    run: Certification,
    certifier: Calibrated,
    dataset: LabelledDataset,
    held: Sequence[int],
    device: torch.device,
    inputs: Listed,
) -> list[Any]:
    """The rows of calibration.csv, with those that it does not hold yet."""
    schema, f = Schema(certifier.calibration_columns, ("index",)), certifier.f.f
    path = run.folder.table_path.with_name(run.folder.table_path.name.replace("certificates", FILE))
    with TableWriter(path, schema) as table:
        missing = [index for index in dataset.check(held) if not table.holds([(float(index),)])]
        if missing:
            print(f"calibrating on {counted(len(missing), 'example')}", file=sys.stderr, flush=True)

        def procedures() -> Iterator[Procedure[object]]:
            for index in missing:
                x = input_to_certify(dataset, index, f, device, inputs)
                yield certifier.calibrating(x, index, dataset.label(index))

        for index, (found, seconds) in zip(missing, certifier.engine.run_all(procedures()), strict=True):
            label = dataset.label(index)
            table.write([row(schema, found, index=index, label=label, seconds=seconds)])
            stop_if_asked()
    return read_rows(path.parent, path.stem, schema.key).to_dict("records")
