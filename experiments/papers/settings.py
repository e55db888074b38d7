"""Compares the papers' settings with ours: `python -m experiments.papers.settings` writes docs/settings.md.

The papers' settings are entered by hand in settings.csv of each paper's folder. Ours come from the composed
configurations. A row of settings.csv either agrees with the configuration or gives the reason why not.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from experiments.config.command_line import CONF
from experiments.config.experiment import experiment

HERE = Path(__file__).parent
OUT = Path("docs/settings.md")
PAPERS = {
    "kumar2021": "Kumar and Goldstein 2021",
    "cohen2019": "Cohen et al. 2019",
    "levine2021": "Levine and Feizi 2021",
    "training": "Training methods",
}
INTRODUCTION = """# The papers' settings

Written by `python -m experiments.papers.settings`. Our settings come from the configurations, the papers' from
`settings.csv` in each paper's folder in `experiments/papers/`. "Authors' code" marks a setting that is not in the paper
but only in its published code.
"""


def rows() -> Iterator[dict[str, Any]]:
    """One row per setting and experiment: paper, experiment, setting, key, papers, ours, source, difference."""
    names = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
    for folder, paper in PAPERS.items():
        for row in pd.read_csv(HERE / folder / "settings.csv", dtype=str, keep_default_na=False).itertuples():
            patterns = str(row.experiments).split()
            for name in (name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)):
                yield {
                    "paper": paper,
                    "experiment": name,
                    "setting": row.setting,
                    "key": row.key,
                    "papers": row.paper,
                    "ours": written(OmegaConf.select(experiment(name).config, str(row.key))),
                    "source": row.source,
                    "difference": row.difference,
                }


def written(value: Any) -> str:
    """A configuration value as YAML writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def page() -> str:
    """The text of docs/settings.md: one table per paper; experiments with equal values share a row."""
    table = pd.DataFrame(rows())
    parts = [INTRODUCTION]
    columns = ["setting", "key", "papers", "ours", "source", "difference"]
    for paper, own in table.groupby("paper", sort=False):
        parts.append(f"## {paper}\n")
        parts.append("| setting | key | paper | ours | experiments | source |\n| --- | --- | --- | --- | --- | --- |")
        for values, same in own.groupby(columns, sort=False):
            setting, key, papers, ours, source, difference = values
            experiments = ", ".join(f"`{name}`" for name in same["experiment"])
            value = f"`{ours.rpartition('.')[2] if key.endswith('_target_') else ours}`"
            said = f"`{papers.rpartition('.')[2] if key.endswith('_target_') else papers}`"
            parts.append(
                f"| {setting} | `{key}` | {said} | {value}{f': {difference}' if difference else ''} | {experiments} "
                f"| {source} |"
            )
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    OUT.write_text(page())
