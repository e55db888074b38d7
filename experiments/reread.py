"""Read finished runs again at another alpha, bound or eps, from their counts or draws: no data, model or sampling.

python -m experiments.reread results/digits_gaussian certifier.alpha=0.01
python -m experiments.reread results/faces_jaccard/<run> certifier.bound=paper "eps=[0.1,0.2]"

Give a run's folder, or a folder of runs, of which those that cannot be read again are named and left out. The new rows
have a run folder of their own beside the old one, or in another results.root. It is the folder of `certify.py` with the
same settings, which adds the examples that need new samples.
Choose alpha before you look at the rows: each certificate is false with probability alpha, but the best of several is
not.
"""

import argparse
import copy
import difflib
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.again import settings_of
from experiments.certifying.build import accepted_arguments, settled
from experiments.certifying.rereading import reread, write_again
from experiments.certifying.rows import Certification
from experiments.config.entry import line_of
from experiments.config.identity import certifier_identity
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.config.targets import parameters
from experiments.machine.words import counted
from experiments.report.terminal import terminal_table
from experiments.runs.certifier_class import certifier_class
from experiments.runs.contents import Contents
from experiments.runs.reader import StoredRun, asked_of, find_runs
from experiments.runs.run_folder import RunFolder
from smoothing import Noise, SettingError

CLOSE = 0.85  # similarity of a mistyped key, such as certifer.alpha; certifier.n is not meant as certifier.alpha
SHOWN = 10  # examples that a line names


def reread_run(run: StoredRun, words: list[str]) -> tuple[Path, list[int]]:
    """Read a run again.

    Args:
        run: the run.
        words: `certifier.<setting>=`, `eps=` and `results.root=`, as for certify.py.

    Returns:
        The new run's folder, and the examples that need new samples.

    Raises:
        SettingError: a setting is unknown, or the samples depend on it; or the run has no counts or draws.
    """
    cls = certifier_class(run.record)
    name = run.identity["certifier"]["type"]
    if cls is None or not (cls.rereadable or cls.draws):
        raise SettingError(f"{run.folder}: rows of {name} cannot be read again; certify the examples again")
    changes = _changes(words, [*(f"certifier.{each}" for each in cls.rereadable), *(["eps"] if cls.case else [])], name)
    settings = settings_of({**run.record, "config": _changed(run.record["config"], changes)})
    one = _certification(run, settings, changes)
    indices = [int(index) for index in run.table["index"].unique()]
    found = reread(run, one, indices)
    if not found:
        kept = "draws" if cls.draws else "counts"
        raise SettingError(
            f"{run.folder}: none of its {len(indices)} examples has the {kept} that these settings need; certify the "
            "examples again"
        )
    with one.folder.table(one.schema) as table:
        new = {index: rows for index, rows in found.items() if not table.holds(one.keys(index))}
        one.folder.expect(asked_of(run))
        write_again(one, table, new, run)
    return one.folder.path, sorted(set(indices) - set(found))


def _changes(words: list[str], allowed: list[str], name: str) -> dict[str, Any]:
    """The changed settings: nested. Raises SettingError."""
    names = (*allowed, "results.root")
    for word in words:
        key, equals, _ = word.partition("=")
        if not equals or key not in names:
            close = difflib.get_close_matches(key, names, n=1, cutoff=CLOSE) if equals else []
            near = f"did you mean {close[0]}? " if close else ""
            raise SettingError(
                f"{word}: {near}expected one of {', '.join(f'{each}=' for each in names)}: "
                f"other settings of {name} need new samples, with certify.py"
            )
    try:
        found: Any = OmegaConf.to_container(OmegaConf.from_dotlist(words))
    except (OmegaConfBaseException, ValueError) as error:
        raise SettingError(f"{' '.join(words)}: {' '.join(str(error).split())}") from error
    return found


def _changed(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged: Any = OmegaConf.to_container(OmegaConf.merge(config, {k: v for k, v in changes.items() if k != "results"}))
    return merged


def _certification(run: StoredRun, settings: Settings, changes: dict[str, Any]) -> Certification:
    """The certification with the changed settings. It has no base function, so it can only read."""
    noise = _noise(run, settings)
    settings = settled(settings, noise) if noise else settings
    classes = run.record.get("classes") or _of_dataset(settings, "classes") if "label" in run.table else []
    given = {
        "f": lambda x: x,
        "noise": noise,
        "metric": settings.metric.build() if settings.metric else None,
        "num_classes": len(classes) or None,
        "seed": settings.seed,
    }
    wanted = accepted_arguments(settings.certifier)
    certifier = settings.certifier.build(**{name: value for name, value in given.items() if name in wanted})
    identity = copy.deepcopy(run.identity)
    identity["certifier"] = certifier_identity(settings.certifier)
    root = Path((changes.get("results") or {}).get("root") or run.folder.parent.parent)
    kept = {each.name: run.record[each.name] for each in fields(Contents) if each.name in run.record}
    folder = RunFolder(root, settings, identity, run.record.get("noise_state"), Contents(**kept))
    return Certification(certifier, certifier.cases(settings.eps), folder)


def _noise(run: StoredRun, settings: Settings) -> Noise | None:
    """The run's noise, with the grid that it recorded. Only the data set's class is read if that is enough."""
    if settings.noise is None:
        return None
    known = parameters(settings.noise.target, "noise")
    given = {name: _of_dataset(settings, name) for name in ("levels", "shape") if name in known}
    grid = {"grid": run.identity.get("grid", 0)} if "grid" in known else {}
    made: Noise = settings.noise.replaced(**grid).build(**given)
    return made


def _of_dataset(settings: Settings, name: str) -> Any:
    """An attribute of the data set: of its class, else of the data, which must then be there."""
    found = getattr(settings.dataset.located, name, None)
    return getattr(settings.dataset.build(), name) if found is None or isinstance(found, property) else found


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("runs", type=Path, help="a run's folder, or a folder of runs")
    parser.add_argument("settings", nargs="*", help="certifier.<setting>=, eps=, results.root=")
    given = parser.parse_args()
    register()
    runs = find_runs(given.runs)
    said = set[str]()
    left_out = broken = 0
    if not runs:
        _said(SettingError(f"{given.runs}: no run.json here or below; give a folder of certify.py"))
    for run in runs:
        try:
            folder, left = reread_run(run, given.settings)
        except Exception as error:
            left_out += 1
            broken += not isinstance(error, SettingError)  # such as damaged draws
            if line_of(error) not in said:
                _said(error)
            said.add(line_of(error))
            continue
        print(f"\n{terminal_table(folder)}\n{folder}")
        if left:
            print(_needs_samples(left))
    if 0 < left_out < len(runs):
        print(f"reread: {left_out} of {counted(len(runs), 'run')} left out", file=sys.stderr)
    sys.exit(1 if broken or left_out == len(runs) else 0)


def _needs_samples(left: list[int]) -> str:
    """The line about the examples of a run that need new samples."""
    shown = ", ".join(map(str, left[:SHOWN])) + ", ..." * (len(left) > SHOWN)
    which = f"examples {shown} ({len(left)}) need" if len(left) > 1 else f"example {left[0]} needs"
    return f"{which} new samples; certify.py with these settings adds them"


def _said(error: Exception) -> None:
    print(f"reread: {line_of(error)}", file=sys.stderr)


if __name__ == "__main__":
    main()
