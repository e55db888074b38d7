"""Base classifiers: each maps a batch of images to one row of scores for each image. The first layer normalises.

The data set provides the number of classes, the channels of the images, and the mean and standard deviation of the
normalisation. The other arguments are a classifier's own settings.
"""

from models.classifiers.efficientnet_lite0 import EfficientNetLite0, EfficientNetLite0Features
from models.classifiers.ensemble import Ensemble
from models.classifiers.lenet import LeNet
from models.classifiers.levine_cnn import LevineCNN
from models.classifiers.normalised import Normalisation
from models.classifiers.resnet50 import ResNet50
from models.classifiers.resnet_cifar import ProjectedResNet, ResNetCIFAR
from models.classifiers.small_cnn import SmallCNN
from models.classifiers.timm_classifier import Timm
from models.classifiers.transformers_classifier import Transformers
from models.classifiers.wide_resnet import WideResNet
from models.classifiers.wong_resnet import WongResNet

__all__ = [
    "EfficientNetLite0",
    "EfficientNetLite0Features",
    "Ensemble",
    "LeNet",
    "LevineCNN",
    "Normalisation",
    "ProjectedResNet",
    "ResNet50",
    "ResNetCIFAR",
    "SmallCNN",
    "Timm",
    "Transformers",
    "WideResNet",
    "WongResNet",
]
