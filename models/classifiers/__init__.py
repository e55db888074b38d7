"""Base classifiers: a batch of images in, a row of scores an image out. Each begins with its normalisation.

The run tells a classifier the number of classes, the channels of its images and the mean and standard deviation to
normalise with; the other arguments are its own settings.
"""

from models.classifiers.normalised import Normalisation
from models.classifiers.resnet50 import ResNet50
from models.classifiers.resnet_cifar import ProjectedResNet, ResNetCIFAR
from models.classifiers.small_cnn import SmallCNN
from models.classifiers.wide_resnet import WideResNet
from models.classifiers.wong_resnet import WongResNet

__all__ = ["Normalisation", "ProjectedResNet", "ResNet50", "ResNetCIFAR", "SmallCNN", "WideResNet", "WongResNet"]
