"""The list of all experiments: `python -m experiments.report.experiments` writes it into docs/experiments.md.

Descriptions come from conf/experiment, costs from results/. The text outside the two marked parts of the document is
written by hand.
"""

from itertools import groupby
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.config.command_line import CONF
from experiments.config.experiment import Experiment, experiment
from experiments.config.targets import located
from experiments.machine.words import counted
from experiments.report.costs import cost_of, duration
from experiments.runs.committed import committed_files
from experiments.runs.reader import StoredRun, find_runs
from smoothing import DeterministicSplitting

RESULTS = CONF.parent / "results"
DOCUMENT = CONF.parent / "docs" / "experiments.md"
PAPERS = ("Center smoothing", "Cohen et al.", "Levine and Feizi", "Training methods", "Other papers", "Ours")
HEADER = (
    "| experiment | what it reproduces | needs | samples | examples | run here |\n| --- | --- | --- | --- | --- | --- |"
)
TEST_IMAGES = {"Digits": 500, "MNIST": 10_000, "CIFAR10": 10_000, "CIFAR10Preprocessed": 10_000, "SVHN": 26_032}
TEST_IMAGES |= {"ImageNet": 50_000, "ImageNetPhotos": 24, "People": 3, "Portraits": 3, "Diabetes": 100}


def page(document: str) -> str:
    """The document with its table and its commands updated."""
    everything = sorted((experiment(file.stem) for file in (CONF / "experiment").glob("*.yaml")), key=_place)
    kept = {file.parent for file in committed_files(RESULTS)}
    rows = "\n".join([HEADER, *(row(one, kept) for one in everything)])
    return _replaced(_replaced(document, "table", rows), "commands", commands(everything))


def row(one: Experiment, kept: set[Path]) -> str:
    """The table row of one experiment, from those of its runs whose folders are kept."""
    what = f"{one.paper}{', ' if one.item else ''}{one.item}: {one.shows}"
    ran = run_here(one, [run for run in find_runs(RESULTS / one.name) if run.folder in kept])
    return f"| `{one.name}` | {what} | {one.needs or 'nothing'} | {samples(one)} | {examples(one)} | {ran} |"


def samples(one: Experiment) -> str:
    """Evaluations of the base function for one example at one noise level."""
    certifier = one.config.certifier
    if "m" in certifier:
        return f"{certifier.get('candidates', 0) + 2 * certifier.n + certifier.m:,}"
    if "n0" in certifier:
        return f"{certifier.n0 + certifier.n:,}"
    if "n" in certifier:
        return f"{certifier.n:,}"
    if "DeepFool" in certifier._target_:
        return "none: DeepFool"
    steps = _steps(one)
    return f"{min(steps):,} to {max(steps):,}"


def _steps(one: Experiment) -> list[int]:
    """The number of noisy inputs of each finite noise of an experiment's sweep."""
    dataset: Any = located(one.config.dataset._target_)
    if "noise.sigma" in one.sweep:
        sigmas, levels = one.sweep["noise.sigma"].split(","), getattr(dataset, "levels", 255)
        return [DeterministicSplitting(float(sigma), levels, (1, 1, 1)).steps for sigma in sigmas]
    files = (CONF / "noise" / f"{name}.yaml" for name in one.sweep["noise"].split(","))
    return [located(OmegaConf.load(file)._target_)(1, dataset.shape).steps for file in files]


def examples(one: Experiment) -> str:
    """Number of examples certified at one noise level."""
    dataset = one.config.dataset
    if one.config.indices:
        return f"{len(one.config.indices):,}"
    whole = TEST_IMAGES.get(dataset._target_.rpartition(".")[2], 0)
    count = one.config.limit or dataset.get("count") or len(range(0, whole, dataset.get("step", 1)))
    return f"{count - one.config.certifier.get('held_out', 0):,}"


def run_here(one: Experiment, runs: list[StoredRun]) -> str:
    """Cost of the committed runs: first those with the experiment's own certifier, then the others by certifier."""
    kinds: dict[str, list[StoredRun]] = {}
    for run in runs:
        kinds.setdefault(_apart(one, run), []).append(run)
    parts = []
    for kind in sorted(kinds):
        cost = cost_of(kinds[kind])
        samples = "" if cost.samples is None else f"{counted(cost.samples, 'sample')}, "
        many = f"{counted(cost.runs, 'run')}{kind}: {counted(cost.examples, 'example')}"
        parts.append(f"{many}, {samples}{duration(cost.seconds)}")
    return "; ".join(parts) or "no"


def commands(everything: list[Experiment]) -> str:
    """The commands of all experiments, grouped by what they need."""
    parts = []
    for needs, some in groupby(sorted(everything, key=lambda one: (one.needs != "", one.needs)), lambda one: one.needs):
        lines = "\n".join(line for one in some for line in one.commands())
        parts.append(f"Needs: {needs or 'nothing else; minutes to hours on a CPU'}.\n\n```bash\n{lines}\n```")
    return "\n\n".join(parts)


def _place(one: Experiment) -> tuple[int, bool, str]:
    return PAPERS.index(one.paper), one.needs != "", one.name


def _apart(one: Experiment, run: StoredRun) -> str:
    """How a run's certifier differs from the experiment's, such as " with Predict". Empty if it does not."""
    certifier = run.identity["certifier"]
    own = located(one.config.certifier._target_).__name__
    kind = "" if certifier["type"] == own else f" with {certifier['type']}"
    return kind + " with the medoid as center" * (certifier.get("center") == "medoid")


def _replaced(document: str, part: str, text: str) -> str:
    """Replace the text between the two comments that mark a part of the document."""
    first, last = f"<!-- {part}: written by python -m experiments.report.experiments -->", f"<!-- end of {part} -->"
    before, rest = document.split(first)
    after = rest.split(last)[1]
    return f"{before}{first}\n\n{text}\n\n{last}{after}"


def write(path: Path = DOCUMENT) -> None:
    path.write_text(page(path.read_text()))


if __name__ == "__main__":
    write()
