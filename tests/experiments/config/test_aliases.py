"""Old `_target_` names resolve to the present classes, and committed runs use no other old names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.config.aliases import ALIASES
from experiments.config.check import checked_group
from experiments.config.identity import description
from experiments.config.targets import located, present_name
from experiments.config.user_code import targets

ROOT = Path(__file__).parents[3]
CHOSEN = ("dataset", "model", "noise", "certifier", "metric", "trainer", "logger")
# Old names in conf/ before the room experiments/training, and in old instructions of the README.
BEFORE = [
    "experiments.autoencoder_trainer.AutoencoderTrainer",
    "experiments.denoiser_trainer.DenoiserTrainer",
    "experiments.trainer.Trainer",
    "experiments.logger.WandbLogger",
    "experiments.undefended.DeepFool",
    "experiments.data.CIFAR10",
    "experiments.data.CIFAR10Preprocessed",
    "experiments.data.CelebA",
    "experiments.data.Classes",
    "experiments.data.Digits",
    "experiments.data.Faces",
    "experiments.data.ImageFolder",
    "experiments.data.ImageNet",
    "experiments.data.Latents",
    "experiments.data.MNIST",
    "experiments.data.SVHN",
    "models.autoencoder.Autoencoder",
    "models.denoised.Denoised",
    "models.face_detector.FaceDetector",
    "models.generator.BigGAN",
    "models.reconstructor.Reconstructor",
    "models.classifiers.ProjectedResNet",
    "models.classifiers.ResNet50",
    "models.classifiers.ResNetCIFAR",
    "models.classifiers.SmallCNN",
    "models.classifiers.WideResNet",
    "models.classifiers.WongResNet",
    "smoothing.Adaptive",
    "smoothing.Attack",
    "smoothing.CenterSmoothing",
    "smoothing.CenterSmoothingHD",
    "smoothing.Certify",
    "smoothing.Cosine",
    "smoothing.DeterministicSplitting",
    "smoothing.EnclosingBallL2",
    "smoothing.ExactCenterSmoothing",
    "smoothing.ExactCertify",
    "smoothing.FiniteSpace",
    "smoothing.Hausdorff",
    "smoothing.Predict",
    "smoothing.Splitting",
    "smoothing.Uniform",
    "smoothing.metrics.Angular",
    "smoothing.metrics.Jaccard",
    "smoothing.metrics.L2",
    "smoothing.metrics.LPIPS",
    "smoothing.metrics.TotalVariation",
    "smoothing.noise.Gaussian",
    "experiments.center_smoothing.curves.BaselineCurves",
    "experiments.center_smoothing.curves.GeneratorCurves",
    "experiments.center_smoothing.curves.MedianCurves",
    "experiments.center_smoothing.curves.TotalVariationCurves",
    "experiments.center_smoothing.curves.TrainingNoiseCurves",
    "experiments.center_smoothing.exact_bounds.ExactBounds",
    "experiments.center_smoothing.faces.Boxes",
    "experiments.center_smoothing.faces.FaceCurves",
    "experiments.center_smoothing.images.SmoothedImages",
    "experiments.center_smoothing.l1.DeterministicCurves",
    "experiments.center_smoothing.times.Times",
    "experiments.cohen2019.ablations.Ablations",
    "experiments.cohen2019.attacks.AttackTable",
    "experiments.cohen2019.baselines.Baselines",
    "experiments.cohen2019.curves.Curves",
    "experiments.cohen2019.curves.HighProbability",
    "experiments.cohen2019.curves.TrainingNoise",
    "experiments.cohen2019.looseness.Looseness",
    "experiments.cohen2019.noisy_images.NoisyImages",
    "experiments.cohen2019.noisy_images.Resolutions",
    "experiments.cohen2019.tables.CertifiedAccuracyTable",
    "experiments.cohen2019.tables.PredictTable",
    "experiments.cohen2019.theory.Bounds",
    "experiments.cohen2019.theory.Samples",
    "experiments.cohen2019.times.Times",
    "experiments.levine2021.certification_time.CertificationTime",
    "experiments.levine2021.curves.DenoiserCurves",
    "experiments.levine2021.curves.EverySigma",
    "experiments.levine2021.curves.MethodCurves",
    "experiments.levine2021.images.NoisyImages",
    "experiments.levine2021.images.NoisyPhotographs",
    "experiments.levine2021.joint.JointNoise",
    "experiments.levine2021.noise_values.NoiseValues",
    "experiments.levine2021.tables.BestAccuracyTable",
    "experiments.photographs.Photographs",
    "experiments.tightness.Tightness",
]


def committed():
    """Every `_target_` in committed run.json and checkpoint.json files."""
    files = [*(ROOT / "results").glob("**/run*.json"), *(ROOT / "results").glob("**/checkpoint*.json")]
    return {target for file in files for target in targets(json.loads(file.read_text()))}


def test_committed_runs_name_nothing_else():
    assert len(committed()) > 20
    assert committed() <= {*BEFORE, *present()}


@pytest.mark.parametrize("name", [name for name in BEFORE if "BigGAN" not in name])
def test_an_old_name_is_the_class_of_now(name):
    now = present_name(name)
    assert located(name) is located(now)
    assert located(name).__name__ == name.rpartition(".")[2]


def test_aliases_lead_to_where_there_is_something_and_each_is_of_use():
    used = {max((a for a in ALIASES if f"{name}.".startswith(f"{a}.")), key=len, default="") for name in BEFORE}
    assert used - {""} == set(ALIASES)
    assert not {present_name(new) for new in ALIASES.values()} - set(ALIASES.values())


def present():
    files = [file for group in CHOSEN for file in (ROOT / "conf" / group).glob("*.yaml")]
    return {target for file in files for target in targets(OmegaConf.to_container(OmegaConf.load(file)))}


def test_conf_names_faces_of_packages():
    for target in present():
        face = target.rpartition(".")[0]
        assert (ROOT / face.replace(".", "/") / "__init__.py").is_file(), target


def test_a_run_of_an_old_name_has_the_identity_of_the_new_one():
    for old in ("smoothing.noise.Gaussian", "smoothing.Gaussian"):
        assert description(checked_group("noise", {"_target_": old, "sigma": 1})) == {"type": "Gaussian", "sigma": 1.0}


def test_names_of_packages_cost_no_import_of_what_stands_behind_others():
    code = (
        "import smoothing, models.classifiers, experiments.data, experiments.training, experiments.certifying, sys; "
        "print([m for m in ('torchvision', 'lpips', 'foolbox', 'pytorch_pretrained_biggan', 'wandb', 'matplotlib', "
        "'timm', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
