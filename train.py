"""Train a base function under the noise that it will be certified with.

python train.py experiment=faces_jaccard

The only base function so far, the MTCNN, is used as it was published: for it there is nothing to train, and this says
so. Training belongs to the classifiers and autoencoders of the other experiments, which are not here yet.
"""

import hydra
from omegaconf import DictConfig

from experiments import composition
from experiments.entry import one_line_errors
from smoothing import SmoothingError

composition.register()


@hydra.main(version_base="1.3", config_path="conf", config_name="certify")
@one_line_errors
def main(cfg: DictConfig) -> None:
    plain = composition.settings(cfg, composition.CertifyConfig)
    model = composition.build(plain["model"])
    if not getattr(model, "pretrained", False):
        raise SmoothingError(f"model: no trainer for {type(model).__name__} yet")
    print(
        f"{type(model).__name__} is pre-trained, its weights are installed: nothing to train. Next: python certify.py"
    )


if __name__ == "__main__":
    main()
