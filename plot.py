"""Draw the papers' figures and tables from finished runs, into figures/, beside what the papers print.

python plot.py                                            every figure that results/ holds data for
python plot.py figure=center_faces                        one
python plot.py figure=center_faces source=results/demo    from any folder of runs
python plot.py figure=cohen_table_cifar10 source=<folder> from the authors' published raw files, where they are there
"""

from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from experiments import composition
from experiments.entry import one_line_errors, refuse_null_groups
from experiments.figures import CONF, draw_all
from smoothing import SettingError, SmoothingError

composition.register()


@hydra.main(version_base="1.3", config_path="conf", config_name="plot")
@one_line_errors
def main(cfg: DictConfig) -> None:
    plain = composition.settings(cfg, composition.PlotConfig)
    source = Path(plain["source"]) if plain["source"] else None
    if source and not source.is_dir():
        raise SmoothingError(f"source: no folder '{source}'")
    chosen = HydraConfig.get().runtime.choices["figure"]
    missing: dict[str, list[str]] = {}  # commands -> the figures that they would fill
    for name, node in ({chosen: plain["figure"]} if plain["figure"] else _all_figures()).items():
        figure = composition.build(composition.checked_group(f"figure {name}", node))
        if not draw_all(name, figure, Path(plain["results"]["root"]), source, Path(plain["figures"]["root"])):
            for experiment in figure.experiments:
                missing.setdefault("\n    ".join(_commands(experiment, figure.also)), []).append(name)
    if missing:
        print("\nNot drawn, for want of results. Any of these would make them:")
        for commands, names in missing.items():
            print(f"  {', '.join(names)}:\n    {commands}")
    if plain["figure"] and missing:
        raise SmoothingError(f"figure {chosen}: no results in {source or plain['results']['root']}")


def _all_figures() -> dict[str, dict[str, Any]]:
    files = sorted((CONF / "figure").glob("*.yaml"))
    return {file.stem: OmegaConf.to_container(OmegaConf.load(file)) for file in files}  # type: ignore[misc]


def _commands(experiment: str, also: str) -> list[str]:
    """The commands that an experiment file opens with; the first one makes results, with `also` the figure's."""
    path = CONF / "experiment" / f"{experiment}.yaml"
    if not path.exists():
        raise SettingError(f"figure.experiments: no experiment '{experiment}'; conf/experiment has no {path.name}")
    lines = path.read_text().splitlines()
    first, *others = [line.removeprefix("# ") for line in lines if line.startswith(("# python", "# after:"))]
    return [f"{first} {also}".rstrip(), *others]


if __name__ == "__main__":
    refuse_null_groups()
    main()
