"""Draw the papers' figures from finished runs, into figures/, beside what the papers print.

python plot.py                                            every figure that results/ holds data for
python plot.py figure=center_faces                        one
python plot.py figure=center_faces source=results/demo    from any folder of runs
"""

from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from experiments import composition
from experiments.entry import one_line_errors
from experiments.figures import CONF, draw_all
from smoothing import SmoothingError

composition.register()


@hydra.main(version_base="1.3", config_path="conf", config_name="plot")
@one_line_errors
def main(cfg: DictConfig) -> None:
    plain = composition.settings(cfg, composition.PlotConfig)
    source = Path(plain["source"]) if plain["source"] else None
    if source and not source.is_dir():
        raise SmoothingError(f"source: no folder '{source}'")
    chosen = HydraConfig.get().runtime.choices["figure"]
    missing = []
    for name, node in ({chosen: plain["figure"]} if plain["figure"] else _all_figures()).items():
        figure = composition.build(composition.checked_group(f"figure {name}", node))
        if not draw_all(name, figure, Path(plain["results"]["root"]), source, Path(plain["figures"]["root"])):
            missing.append(f"  {name}: " + " or\n    ".join(_command(experiment) for experiment in figure.experiments))
    if missing:
        print("\nNot drawn, for want of results; this would make them:", *missing, sep="\n")
    if plain["figure"] and missing:
        raise SmoothingError(f"figure {chosen}: no results in {source or plain['results']['root']}")


def _all_figures() -> dict[str, dict[str, Any]]:
    files = sorted((CONF / "figure").glob("*.yaml"))
    return {file.stem: OmegaConf.to_container(OmegaConf.load(file)) for file in files}  # type: ignore[misc]


def _command(experiment: str) -> str:
    """The command that an experiment file opens with."""
    lines = (CONF / "experiment" / f"{experiment}.yaml").read_text().splitlines()
    return next(line.removeprefix("# ") for line in lines if line.startswith("# python"))


if __name__ == "__main__":
    main()
