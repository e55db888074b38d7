"""CIFAR-10, in the layout that torchvision keeps it in."""

import torchvision

from experiments.data.torchvision_images import TorchvisionImages


class CIFAR10(TorchvisionImages):
    """Photographs of ten kinds of things, 32 x 32 (Krizhevsky 2009): 50,000 training and 10,000 test images."""

    kind, folder = torchvision.datasets.CIFAR10, "cifar-10-batches-py"
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    shape = (3, 32, 32)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # those of Cohen et al.
