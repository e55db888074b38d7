"""Draw the papers' figures and tables from finished runs, next to the published values. Files go to figures/.

python plot.py                                            every figure that results/ holds data for, and index.html;
                                                          in a folder of your own, also all of your runs beside each
                                                          other: a figure for each data set, norm and metric
python plot.py figure=center_faces                        one figure
python plot.py figure=center_faces source=results/demo    one figure from another folder of runs
python plot.py figure=cohen_table_cifar10 source=<folder> one table from the authors' published raw files
python plot.py figure=compare source='[results/a, results/b/<run>]' labels='[ours, theirs]'
                                                          any runs in one figure, with tests of their differences
python plot.py source='[results/a, results/b]' figures.only='[center_faces, photographs]'
                                                          several figures of these runs, and one page of them
python plot.py figure=table source='[results/a, results/b]' labels='[ours, theirs]'
                                                          the same as a table in LaTeX, Markdown and CSV
python plot.py table=results/digits_gaussian              a summary of these runs' tables in the terminal
"""

import shlex
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from experiments.config.check import checked, suggestion
from experiments.config.command_line import CONF, SUITE, config_folders
from experiments.config.entry import one_line_errors, run
from experiments.config.schema import register
from experiments.config.settings import PlotSettings
from experiments.papers.yours.own import comparable
from experiments.report.artefacts import Artefact, artefact
from experiments.report.drawing import Drawn, log
from experiments.report.figure import Figure, Selection, figure_of, require_its_sources, selection
from experiments.report.html import write_page
from experiments.report.markdown import write_report
from experiments.report.missing import commands_of_missing, counts_of_left_out, say
from experiments.report.sources import Source, sources_of
from experiments.report.terminal import summaries
from experiments.runs.reader import find_runs
from smoothing import SettingError, SmoothingError

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="plot")
@one_line_errors
def main(cfg: DictConfig) -> None:
    settings = checked(cfg, PlotSettings)
    if settings.table:
        print(summaries([source.folder for source in sources_of(settings.table, key="table")]))
        return
    sources, own = sources_of(settings.source, settings.labels), False
    chosen, only = HydraConfig.get().runtime.choices["figure"], settings.figures.only
    if settings.figure:
        figure = figure_of(chosen, settings.figure)
        require_its_sources(chosen, figure, sources, settings.labels)
        artefacts, selected, _ = _drawn({chosen: figure}, settings, sources)
        say(selected[chosen].explanation())
    elif own := only is None and not sources and _outside(Path(settings.results.root)):
        artefacts, failed = _own(settings)
    else:
        figures = _chosen(only)
        artefacts, selected, failed = _drawn(figures, settings, sources)
        say(counts_of_left_out(selected, of_one_page=only is not None))
    root, out = settings.results.root, Path(settings.figures.root)
    if not (sources or own):
        say(commands_of_missing(artefacts, "" if root == "results" else f" {shlex.quote(f'results.root={root}')}"))
    if settings.figure and not artefacts[0].drawn:
        where = ", ".join(str(source.folder) for source in sources) or root
        raise SmoothingError(f"figure {chosen}: no results in {where}; expected {figure.reads}")
    if not settings.figure:
        pages = [out / "index.html"]
        write_page(artefacts, pages[0], whole=only is None and not own)
        if only is None and not own:
            pages.append(out / "REPORT.md")
            write_report(artefacts, pages[1])
        print(f"\n{', '.join(map(str, pages))}")
    if settings.logger:
        log((drawn for one in artefacts for drawn in one.drawn), settings.logger.build(config=settings.as_dict()))
    if not settings.figure and failed:
        raise SmoothingError("; ".join(failed))


def _drawn(
    figures: dict[str, Figure], settings: PlotSettings, sources: list[Source]
) -> tuple[list[Artefact], dict[str, Selection], list[str]]:
    """Draw figures. Returns them, their runs, and the errors of those that could not be drawn."""
    artefacts, selected, failed = [], {}, []
    for name, figure in figures.items():
        drawn = []
        try:
            selected[name] = selection(name, figure, Path(settings.results.root), sources)
            drawn = selected[name].draw(Path(settings.figures.root))
        except SmoothingError as error:  # such as images that are not on this machine
            if settings.figure:
                raise
            failed.append(f"figure {name}: {error}")
        artefacts.append(artefact(name, figure, drawn))
    return artefacts, selected, failed


def _outside(results: Path) -> bool:
    """Whether the user works in a folder of their own, with their own results."""
    return not any(folder.resolve().is_relative_to(SUITE) for folder in (Path.cwd(), results))


def _own(settings: PlotSettings) -> tuple[list[Artefact], list[str]]:
    """Draw what a user's own results allow: figures of their runs, and all of their runs beside each other.

    Raises SettingError if there are no runs.
    """
    root = Path(settings.results.root)
    if not find_runs(root):
        raise SettingError(f"results.root: no runs in '{root}'; certify.py makes them, figure=<name> draws one figure")
    every = _all_figures()
    theory = [
        name for name, figure in every.items() if not figure.needs_runs and (CONF / f"figure/{name}.yaml").exists()
    ]
    figures = {name: figure for name, figure in every.items() if name not in theory and not figure.compares}
    artefacts, _, failed = _drawn(figures, settings, [])
    drawn = [one for one in artefacts if one.drawn]
    compared: list[Drawn] = []
    for sources in filter(None, comparable(root)):
        (found,), selected, others = _drawn({"compare": every["compare"]}, settings, sources)
        say([line for one in selected.values() for line in one.explanation()])
        compared, failed = compared + found.drawn, failed + others
    lacking = f"{len(artefacts) - len(drawn)} figures of the papers have no results in '{root}'"
    say([f"{lacking}; figure=<name> prints the commands that make them."])
    return drawn + ([artefact("compare", every["compare"], compared)] if compared else []), failed


def _chosen(only: list[str] | None) -> dict[str, Figure]:
    """The figures of these names, in this order; every one that needs no `source` for None. Raises SettingError."""
    every = {name: figure for name, figure in _all_figures().items() if not figure.compares}
    if only is None:
        return every
    for name in only:
        if name not in every:
            raise SettingError(f"figures.only: no figure {name}{suggestion(name, list(every))}")
    return {name: every[name] for name in only}


def _all_figures() -> dict[str, Figure]:
    """All figures in conf/ and in the user's folders, by name."""
    files = [file for folder in reversed(config_folders()) for file in sorted((folder / "figure").glob("*.yaml"))]
    nodes: dict[str, Any] = {file.stem: OmegaConf.to_container(OmegaConf.load(file)) for file in files}
    return {name: figure_of(name, node) for name, node in nodes.items()}


if __name__ == "__main__":
    run(main, texts=("source", "table", "labels"))
