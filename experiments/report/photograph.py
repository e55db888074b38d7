"""Shows an image in a panel without a frame."""

from matplotlib.axes import Axes
from torch import Tensor


def show(axis: Axes, image: Tensor, below: str = "", color: str = "black") -> None:
    """Show an image, (1 or 3, H, W), clipped to [0, 1], with words below it."""
    axis.imshow(image.clamp(0, 1).permute(1, 2, 0).numpy(), cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.set_xlabel(below, color=color)
