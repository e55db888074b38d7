"""Read the rows of a finished run again under other settings of its certifier, from counts or draws, without sampling.

The samples do not depend on the settings in `Certifier.rereadable`, such as alpha. So the new rows are those that a run
with the new settings would write.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from experiments.certifying.rows import Certification, Row, row
from experiments.machine.words import counted
from experiments.runs.reader import StoredRun, find_runs, read_record
from experiments.runs.run_folder import load_draws
from experiments.runs.table import Key, TableWriter
from smoothing import ABSTAIN, Certifier, SettingError, SmoothingError


def reread_from_siblings(
    one: Certification, table: TableWriter, indices: Iterable[int], agrees: Callable[[Path], bool]
) -> str:
    """Fill a run's table from runs beside it that differ in `Certifier.rereadable` only.

    Args:
        one: the certification.
        table: the writer of its table.
        indices: the examples to fill in.
        agrees: whether the model and the noise compute what the rows in another run's folder are of; see `Computed`.

    Returns:
        What was read again, for the user; empty if nothing was.
    """
    missing = [index for index in indices if not table.holds(one.keys(index))]
    cls = type(one.certifier)
    if not missing or not cls.rereadable:
        return ""
    told = []
    for path in sorted(one.folder.path.parent.iterdir()):
        run, found = _readable(path, one, missing)
        if run is None or not found or not agrees(path):
            continue
        write_again(one, table, found, run)
        missing = [index for index in missing if index not in found]
        told.append(f"{counted(len(found), 'example')} read again from {path}, not sampled")
    return "\n".join(told)


def taken_from_shards(one: Certification, table: TableWriter, indices: Iterable[int]) -> str:
    """Copy rows that other tables of the same run hold, such as those of shards.

    Args:
        one: the certification.
        table: the writer of its table.
        indices: the examples to fill in.

    Returns:
        What was copied, for the user; empty if nothing was.

    Raises:
        SmoothingError: another table is damaged.
    """
    missing = [index for index in indices if not table.holds(one.keys(index))]
    found, told = dict[Key, Row](), []
    for path in sorted(one.folder.path.glob("certificates*.csv")) if missing else ():
        record = path.with_name(path.name.replace("certificates", "run", 1)).with_suffix(".json")
        if path == one.folder.table_path or not record.is_file():
            continue
        rows = table.rows_of(path)
        there = [index for index in missing if rows.keys() >= set(one.keys(index))]
        if there:
            found |= {key: rows[key] for index in there for key in one.keys(index)}
            one.folder.begin_from(path, read_record(record), there)
            told.append(f"{counted(len(there), 'example')} taken from {path}, not sampled")
            missing = [index for index in missing if index not in there]
    table.write([found[key] for index in indices for key in one.keys(index) if key in found])
    return "\n".join(told)


def _readable(path: Path, one: Certification, indices: list[int]) -> tuple[StoredRun | None, dict[int, list[Row]]]:
    """A folder's run, and what `reread` finds there. Nothing if the folder is damaged or another job writes it."""
    if path == one.folder.path:
        return None, {}
    try:
        run = next((each for each in find_runs(path) if alike(each, one)), None)
        if run is None:
            return None, {}
        changed = one.folder.changed_since(run.folder)
        return run, reread(run, one, [index for index in indices if index not in changed])
    except (SmoothingError, OSError, KeyError, ValueError):
        return None, {}


def reread(run: StoredRun, one: Certification, indices: Iterable[int]) -> dict[int, list[Row]]:
    """The rows of those examples of a run that can be read again, by index.

    An example is left out if the run has no counts or draws of it, or if it abstained before it drew all samples that
    the new settings need.
    """
    wanted, found = set(indices), dict[int, list[Row]]()
    for line in run.table.to_dict("records"):
        index = int(line["index"])
        if index in wanted and index not in found and (statements := _statements(run, one, line)):
            label, seconds = int(line.get("label", ABSTAIN)), float(line["seconds"])
            found[index] = [row(one.schema, each, index=index, label=label, seconds=seconds) for each in statements]
    return found


def write_again(one: Certification, table: TableWriter, found: dict[int, list[Row]], run: StoredRun) -> None:
    """Write rows of `reread` into the folder of a certification, with the draws."""
    if found:
        one.folder.begin_from(run.folder, run.record, list(found))
    for index, rows in found.items():
        if one.certifier.draws:
            one.folder.copy_draws(index, run.folder)
        table.write(rows)


def alike(run: StoredRun, one: Certification) -> bool:
    """Whether a run has the identity of a certification, apart from `Certifier.rereadable`."""
    own, other = ({**identity} for identity in (one.folder.identity, run.identity))
    certifiers = [_sampled(each.pop("certifier"), type(one.certifier)) for each in (own, other)]
    return own == other and certifiers[0] == certifiers[1] and one.folder.holds_contents_of(run.record)


def _sampled(certifier: dict[str, Any], cls: type[Certifier]) -> dict[str, Any]:
    return {key: value for key, value in certifier.items() if key not in cls.rereadable}


def _statements(run: StoredRun, one: Certification, line: Row) -> list[Any]:
    """The statements on the example of a stored row; [] if it must be sampled."""
    certifier = one.certifier
    if not certifier.draws:
        try:
            return [certifier.read_again(line)]
        except SettingError:  # the row does not contain enough, such as the class of a prediction that abstained
            return []
    kept = load_draws(run.folder / "draws" / f"{int(line['index'])}.npz", certifier.draws)
    if kept is None or not certifier.suffices(kept[0]):
        return []
    return one.statements(kept[0])
