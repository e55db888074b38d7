"""Read the rows of a finished run again under other settings of its certifier, from counts or draws, without sampling.

The samples do not depend on the settings in `Certifier.rereadable`, such as alpha. So the new rows are those that a run
with the new settings would write.
"""

from collections.abc import Iterable
from typing import Any

from experiments.certifying.rows import Certification, Row, row
from experiments.runs.reader import StoredRun, find_runs
from experiments.runs.run_folder import load_draws
from experiments.runs.table import TableWriter
from smoothing import ABSTAIN, Certifier


def reread_from_siblings(one: Certification, table: TableWriter, indices: Iterable[int]) -> str:
    """Fill a run's table from runs beside it that differ in `Certifier.rereadable` only.

    Args:
        one: the certification.
        table: the writer of its table.
        indices: the examples to fill in.

    Returns:
        What was read again, for the user; empty if nothing was.
    """
    missing = [index for index in indices if not table.holds(one.keys(index))]
    cls = type(one.certifier)
    if not missing or not cls.rereadable:
        return ""
    told = []
    for run in find_runs(one.folder.path.parent):
        if run.folder == one.folder.path or not alike(run, one):
            continue
        done = reread(run, one, table, missing)
        missing = [index for index in missing if index not in done]
        if done:
            told.append(f"{len(done)} example{'s' if len(done) > 1 else ''} read again from {run.folder}, not sampled")
    return "\n".join(told)


def reread(run: StoredRun, one: Certification, table: TableWriter, indices: Iterable[int]) -> list[int]:
    """Write the rows of those examples of a run that can be read again. Returns their indices.

    An example is left out if the run has no counts or draws of it, or if f_hat abstained before it drew all samples
    that the new settings need.
    """
    wanted, certifier = set(indices), one.certifier
    lines = [line for line in run.table.to_dict("records") if line["index"] in wanted]
    done: dict[int, list[Row]] = {}
    for line in lines:
        index = int(line["index"])
        if index not in done and (found := _statements(run, one, line)):
            label, seconds = int(line.get("label", ABSTAIN)), float(line["seconds"])
            done[index] = [row(one.schema, each, index=index, label=label, seconds=seconds) for each in found]
    if done:
        one.folder.begin_from(run.folder, run.record)
        for index, rows in done.items():
            if certifier.draws:
                one.folder.copy_draws(index, run.folder)
            table.write(rows)
    return list(done)


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
        return [certifier.read_again(line)]
    kept = load_draws(run.folder / "draws" / f"{int(line['index'])}.npz", certifier.draws)
    if kept is None or not certifier.suffices(kept[0]):
        return []
    return one.statements(kept[0])
