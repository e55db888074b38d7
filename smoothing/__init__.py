"""Certified robustness by randomized smoothing: sampling, statistics and guarantees, each on its own."""

from smoothing.adaptive import Adaptive, AdaptiveCertificate
from smoothing.attack import Attack, AttackOutcome, projected_gradient_ascent
from smoothing.balanced import BalancedCenterSmoothing
from smoothing.balanced_guarantee import BalancedSettings, balanced_certificate, rechecked
from smoothing.center_guarantee import CenterSettings, certificate
from smoothing.center_reach import answers_within, reach
from smoothing.center_results import CenterDraws, OutputCertificate
from smoothing.center_smoothing import CenterSmoothing
from smoothing.center_smoothing_hd import CenterSmoothingHD
from smoothing.certifier import Calibrated, Certifier
from smoothing.certifiers import Certify, ExactCertify, Predict
from smoothing.classifier_guarantee import ABSTAIN, ClassificationCertificate, Prediction
from smoothing.conformal_attack import AttackedSets, ConformalAttack
from smoothing.conformal_guarantee import ConformalSet
from smoothing.conformal_sets import ConformalSets
from smoothing.errors import BaseFunctionError, SettingError, SmoothingError, SmoothingWarning
from smoothing.evaluation import Evaluation
from smoothing.exact_balanced import ExactBalancedCenterSmoothing
from smoothing.exact_center import ExactCenterSmoothing
from smoothing.exact_conformal import ExactConformalSets
from smoothing.exact_guarantee import ExactCertificate
from smoothing.mean_guarantee import MeanCertificate
from smoothing.mean_smoothing import ExactMeanSmoothing, MeanSmoothing
from smoothing.median_smoothing import ExactMedianSmoothing, MedianSmoothing
from smoothing.metrics import (
    L2,
    LPIPS,
    Angular,
    Cosine,
    EnclosingBallL2,
    FeatureDistance,
    FiniteSpace,
    Hamming,
    Hausdorff,
    Jaccard,
    MaskJaccard,
    Metric,
    Symmetrised,
    TotalVariation,
)
from smoothing.noise import (
    Ablation,
    BandAblation,
    BlockAblation,
    DeterministicSplitting,
    FiniteNoise,
    Gaussian,
    Noise,
    Splitting,
    Uniform,
)
from smoothing.quantile_guarantee import QuantileCertificate
from smoothing.sampled_center import SmoothedOutput
from smoothing.segment_guarantee import SegmentCertificate
from smoothing.segment_smoothing import SegmentSmoothing
from smoothing.smoothed_classifier import SmoothedClassifier, Voting

__all__ = [
    "ABSTAIN",
    "L2",
    "LPIPS",
    "Ablation",
    "Adaptive",
    "AdaptiveCertificate",
    "Angular",
    "Attack",
    "AttackOutcome",
    "AttackedSets",
    "BalancedCenterSmoothing",
    "BalancedSettings",
    "BandAblation",
    "BaseFunctionError",
    "BlockAblation",
    "Calibrated",
    "CenterDraws",
    "CenterSettings",
    "CenterSmoothing",
    "CenterSmoothingHD",
    "Certifier",
    "Certify",
    "ClassificationCertificate",
    "ConformalAttack",
    "ConformalSet",
    "ConformalSets",
    "Cosine",
    "DeterministicSplitting",
    "EnclosingBallL2",
    "Evaluation",
    "ExactBalancedCenterSmoothing",
    "ExactCenterSmoothing",
    "ExactCertificate",
    "ExactCertify",
    "ExactConformalSets",
    "ExactMeanSmoothing",
    "ExactMedianSmoothing",
    "FeatureDistance",
    "FiniteNoise",
    "FiniteSpace",
    "Gaussian",
    "Hamming",
    "Hausdorff",
    "Jaccard",
    "MaskJaccard",
    "MeanCertificate",
    "MeanSmoothing",
    "MedianSmoothing",
    "Metric",
    "Noise",
    "OutputCertificate",
    "Predict",
    "Prediction",
    "QuantileCertificate",
    "SegmentCertificate",
    "SegmentSmoothing",
    "SettingError",
    "SmoothedClassifier",
    "SmoothedOutput",
    "SmoothingError",
    "SmoothingWarning",
    "Splitting",
    "Symmetrised",
    "TotalVariation",
    "Uniform",
    "Voting",
    "answers_within",
    "balanced_certificate",
    "certificate",
    "projected_gradient_ascent",
    "reach",
    "rechecked",
]
