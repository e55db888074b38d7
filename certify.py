"""Certify a base function example by example, into results/<experiment>/<settings>-<hash>/certificates.csv.

python certify.py                                                     three embedded photographs
python certify.py experiment=faces_jaccard noise.sigma=0.25           one point of an experiment
python certify.py -m experiment=faces_jaccard noise.sigma=0.1,0.25    a sweep
python certify.py --help                                              every group and key
"""

import hydra
from omegaconf import DictConfig

from experiments import certification, composition
from experiments.entry import one_line_errors, refuse_null_groups
from experiments.summary import terminal_table

composition.register()


@hydra.main(version_base="1.3", config_path="conf", config_name="certify")
@one_line_errors
def main(cfg: DictConfig) -> None:
    plain = composition.settings(cfg, composition.CertifyConfig)
    table = certification.certify(plain)
    print(terminal_table(table.parent))
    print(f"\n{table}")


if __name__ == "__main__":
    refuse_null_groups()
    main()
