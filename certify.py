"""Certify a base function example by example. Rows go to results/<experiment>/<settings>-<hash>/certificates.csv.

python certify.py                                                     three embedded photographs
python certify.py experiment=faces_jaccard noise.sigma=0.25           one point of an experiment
python certify.py -m experiment=faces_jaccard noise.sigma=0.1,0.25    a sweep
python certify.py experiment=mnist_tvd also=[mnist_l2,mnist_angular]  three metrics, from the same outputs
python certify.py --help                                              every group and key
"""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from experiments.certifying import certification
from experiments.config.check import checked
from experiments.config.command_line import FOLDERS
from experiments.config.entry import one_line_errors, run, with_experiment
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.report.terminal import terminal_table

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="certify")
@one_line_errors
def main(cfg: DictConfig) -> list[Path]:
    composed = [cfg, *(with_experiment(name) for name in cfg.also)]
    done = certification.certify_together([checked(each, Settings) for each in composed])
    for table in done.tables:
        print(terminal_table(table.parent, done.asked))
        print(f"\n{table}")
    return done.tables


if __name__ == "__main__":
    run(main, texts=FOLDERS)
