"""Draw the papers' figures and tables from finished runs, next to the published values. Files go to figures/.

python plot.py                                            every figure that results/ holds data for, and index.html
python plot.py figure=center_faces                        one figure
python plot.py figure=center_faces source=results/demo    one figure from another folder of runs
python plot.py figure=cohen_table_cifar10 source=<folder> one table from the authors' published raw files
python plot.py table=results/digits_gaussian              a summary of these runs' tables in the terminal
"""

import shlex
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from experiments.config.check import checked
from experiments.config.command_line import config_folders, runnable
from experiments.config.entry import one_line_errors, run
from experiments.config.schema import register
from experiments.config.settings import PlotSettings
from experiments.report.artefacts import Artefact, artefact
from experiments.report.figure import drawings, figure_of
from experiments.report.html import write_page
from experiments.report.markdown import write_report
from experiments.report.terminal import summaries
from experiments.runs.wandb import WandbLogger
from smoothing import SmoothingError

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="plot")
@one_line_errors
def main(cfg: DictConfig) -> None:
    settings = checked(cfg, PlotSettings)
    if settings.table:
        print(summaries(Path(settings.table)))
        return
    source = Path(settings.source) if settings.source else None
    if source and not source.is_dir():
        raise SmoothingError(f"source: expected a folder of runs, and there is no folder '{source}'")
    chosen = HydraConfig.get().runtime.choices["figure"]
    out = Path(settings.figures.root)
    artefacts, failed = [], []
    for name, node in ({chosen: settings.figure} if settings.figure else _all_figures()).items():
        figure = figure_of(name, node)
        try:
            drawn = drawings(name, figure, Path(settings.results.root), source, out)
        except SmoothingError as error:  # such as images that are not on this machine
            if settings.figure:
                raise
            failed.append(f"figure {name}: {error}")
            drawn = []
        artefacts.append(artefact(name, figure, drawn))
    root = Path(settings.results.root)
    _say_what_is_missing(artefacts, "" if str(root) == "results" else f" {shlex.quote(f'results.root={root}')}")
    if settings.figure and not artefacts[0].drawn:
        where = f"{source or settings.results.root}; expected {figure.reads}"
        raise SmoothingError(f"figure {chosen}: no results in {where}")
    if not settings.figure:
        write_page(artefacts, out / "index.html")
        write_report(artefacts, out / "REPORT.md")
        print(f"\n{out / 'index.html'}, {out / 'REPORT.md'}")
    if settings.logger:
        _log(artefacts, settings.logger.build(config=settings.as_dict()))
    if failed:
        raise SmoothingError("; ".join(failed))


def _log(artefacts: list[Artefact], logger: WandbLogger) -> None:
    for drawn in (drawn for one in artefacts for drawn in one.drawn):
        if drawn.drawing.figure:
            logger.figure(drawn.stem.name, drawn.path)
        logger.table(f"{drawn.stem.name} table", drawn.drawing.table)
    logger.finish()


def _say_what_is_missing(artefacts: list[Artefact], root: str) -> None:
    """Print the commands that create missing results, with paths that work from the current folder.

    Args:
        artefacts: all figures and tables, drawn or not.
        root: results.root as the end of a certify.py command; empty for the default.
    """
    missing: dict[str, list[str]] = {}  # commands -> the figures that need their results
    for one in artefacts:
        if not one.drawn:
            for lacking in one.lacking:
                lines = "\n    ".join(map(runnable, lacking.commands)) + root  # the last command is certify.py
                missing.setdefault(lines, []).append(one.name)
    if missing:
        print("\nSkipped (no results). To create them, run:")
        for commands, names in missing.items():
            print(f"  {', '.join(names)}:\n    {commands}")


def _all_figures() -> dict[str, dict[str, Any]]:
    """All figures in conf/ and in the user's folders, by name."""
    files = [file for folder in reversed(config_folders()) for file in sorted((folder / "figure").glob("*.yaml"))]
    return {file.stem: OmegaConf.to_container(OmegaConf.load(file)) for file in files}  # type: ignore[misc]


if __name__ == "__main__":
    run(main)
