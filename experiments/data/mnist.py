"""MNIST, in the layout that torchvision keeps it in."""

import torchvision

from experiments.data.torchvision_images import TorchvisionImages


class MNIST(TorchvisionImages):
    """Handwritten digits, 28 x 28, gray (LeCun et al. 1998): 60,000 training and 10,000 test images."""

    kind, folder = torchvision.datasets.MNIST, "MNIST"
    names = tuple("0123456789")
    shape = (1, 28, 28)
    mean, std = (0.1307,), (0.3081,)
