"""What x may be: one input, as a tensor or as what is one without doubt; one line for all else."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from smoothing.base_function import FrozenFunction
from smoothing.errors import SettingError, SmoothingWarning
from smoothing.noise import Noise

NOISE_OF_PIXELS = 2.0  # pixels in [0, 1] are smoothed with less; pixels in 0..255 with more
LEVELS = (15, 255)  # the largest value of an image of 4 to 8 bits that nobody divided
FEWEST = 16  # numbers among which such a value means something


def as_tensor(x: Any) -> Tensor:
    """One input as a plain tensor without gradients, (*input shape), floating-point, all finite.

    Args:
        x: a tensor, a NumPy array, a list of floats; or a pair (input, label) as data sets give it, whose label is
            left out.

    Raises:
        SettingError: it is something else: an image of bytes, a PIL image, a data set; or has a number that is not
            finite.
    """
    if _is_pair(x):
        x = x[0]
    if _is_image(x):
        raise SettingError(
            "x: expected a tensor, got a PIL image; torchvision.transforms.functional.to_tensor(x) makes one of "
            "numbers in [0, 1], then normalise it as your model expects"
        )
    if isinstance(x, list) and not any(hasattr(each, "shape") for each in x):
        try:
            x = np.array(x)
        except ValueError as error:
            raise SettingError(f"x: expected numbers, got a list that is no array ({error})") from error
    if isinstance(x, np.ndarray) and x.dtype.kind in "biufc" and x.dtype.itemsize <= 8:
        x = torch.from_numpy(np.array(x, dtype=x.dtype.newbyteorder("="), order="C"))
    if not isinstance(x, Tensor):
        raise SettingError(
            f"x: expected one input, a tensor or array (*input shape), got {type(x).__name__}; for many inputs use "
            "certify_all"
        )
    if x.layout != torch.strided or x.is_quantized or x.is_nested or x.is_meta:
        raise SettingError(f"x: expected a dense tensor with values, got layout {x.layout}, {x.dtype} on {x.device}")
    require_floating(x)
    x = x.detach().as_subclass(Tensor)
    if not x.numel():
        raise SettingError(f"x: expected at least one number, got shape {tuple(x.shape)}")
    if not bool(x.isfinite().all()):
        raise SettingError("x: some of its numbers are NaN or infinite; nothing can be certified there")
    return x


def require_floating(x: Tensor) -> None:
    """Raise SettingError where x holds no floating-point numbers."""
    if not x.is_floating_point():
        bytes_ = "; divide bytes by 255, as x.float() / 255" if x.dtype == torch.uint8 else "; use x.float()"
        raise SettingError(f"x: expected a floating-point tensor, got {x.dtype}{bytes_}")


def pixels_warning(x: Tensor, noise: Noise | None) -> str:
    """A line where x looks like pixels of 0..255 and the noise like one of pixels in [0, 1]; empty elsewhere.

    Latents and standardised data have negative numbers. Measurements are seldom whole numbers, and images of them
    seldom above 100 under so little noise.
    """
    sigma = getattr(noise, "sigma", None)
    if sigma is None or not sigma < NOISE_OF_PIXELS or x.numel() < FEWEST or float(x.min()) < 0:
        return ""
    largest = float(x.max())
    levels = LEVELS[0] <= largest <= LEVELS[1] and bool((x == x.round()).all())
    if not levels and not (x.dim() > 1 and largest > 100):
        return ""
    return (
        f"x: its numbers go up to {largest:g} and the noise has sigma={sigma:g}. If your model takes pixels in [0, 1], "
        f"divide x by {255 if largest > LEVELS[0] + 1 else 'its largest level'}: the certificate is about x as given"
    )


class Inputs:
    """Makes what is passed to one smoothed function the tensor that its base function takes.

    Args:
        f: the base function.
        noise: of the smoothed function, to warn of pixels that nobody divided by 255.
        outputs: axes of f's outputs where that is known, batch included; 2 for a classifier.
    """

    def __init__(self, f: FrozenFunction, noise: Noise, outputs: int | None = None) -> None:
        self._f, self._noise, self._outputs = f, noise, outputs
        self._warned = False
        self._batches_of_one: dict[torch.Size, bool] = {}

    def __call__(self, x: Any) -> Tensor:
        """One input, (*input shape), on the network's device and of its precision.

        It is rounded to float32 where the network's weights are float32: then that is what the certificate is about.
        An axis of length 1 in front is taken for a batch of one only where f fails with it and runs without.

        Raises:
            SettingError: see `as_tensor`.
        """
        x = as_tensor(x)
        if not self._warned and (warning := pixels_warning(x, self._noise)):
            self._warned = True
            warnings.warn(warning, SmoothingWarning, stacklevel=3)
        x = placed(x, self._f.f)
        if x.dim() > 1 and len(x) == 1:
            if x.shape not in self._batches_of_one:
                self._batches_of_one[x.shape] = not self._runs(x[None]) and self._runs(x)
            if self._batches_of_one[x.shape]:
                x = x[0]
        return x

    def _runs(self, batch: Tensor) -> bool:
        try:
            outputs = self._f(batch)
        except Exception:  # whatever it is, it is raised again at the first samples
            return False
        return self._outputs is None or outputs.dim() == self._outputs


def inputs_of(examples: Any) -> Iterator[Any]:
    """The inputs among examples, one by one, each such as `as_tensor` takes.

    Args:
        examples: a tensor or array, (b, *input shape); a `DataLoader`, whose batches are taken apart; or anything with
            inputs or (input, label) pairs in it: a list, a generator, a data set.

    Raises:
        SettingError: there is nothing to iterate over.
    """
    if isinstance(examples, DataLoader) and examples.batch_sampler is not None:
        return (row for batch in examples for row in _rows(batch))
    if isinstance(examples, Tensor | np.ndarray):
        return iter(_rows(examples))
    if not isinstance(examples, Iterable) and hasattr(examples, "__getitem__") and hasattr(examples, "__len__"):
        return (examples[k] for k in range(len(examples)))
    if not isinstance(examples, Iterable) or isinstance(examples, str | bytes | dict):
        raise SettingError(
            f"examples: expected a batch, a DataLoader, a data set or a list of inputs, got {type(examples).__name__}"
        )
    return iter(examples)


def _rows(batch: Any) -> Any:
    """The inputs of a batch, labels left out. Raises SettingError."""
    inputs = batch[0] if isinstance(batch, tuple | list) and batch else batch
    if not isinstance(inputs, Tensor | np.ndarray) or inputs.ndim < 1:
        raise SettingError(
            f"examples: expected batches (b, *input shape), or pairs of such inputs and labels, got "
            f"{type(inputs).__name__}"
        )
    return inputs


def _is_pair(x: Any) -> bool:
    """Whether x is (input,) or (input, label), whose label is one number or name, or None."""
    if not isinstance(x, tuple | list) or not 1 <= len(x) <= 2 or not (hasattr(x[0], "shape") or _is_image(x[0])):
        return False
    label = x[1] if len(x) == 2 else None
    if isinstance(label, Tensor | np.ndarray):
        return label.size == 1 if isinstance(label, np.ndarray) else label.numel() == 1
    return label is None or isinstance(label, int | np.integer | str)


def _is_image(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "PIL"


def placed(x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    """X where f's weights are, and of their precision: of its own where f has none, or several; float32 at least.

    A network in half precision gets x in half precision where x is so already.
    """
    weights = [t for t in (*f.parameters(), *f.buffers()) if t.is_floating_point()] if isinstance(f, nn.Module) else []
    devices, dtypes = {t.device for t in weights}, {t.dtype for t in weights}
    device = devices.pop() if len(devices) == 1 else x.device
    if len(dtypes) == 1 and (dtype := dtypes.pop()) in (torch.float32, torch.float64, x.dtype):
        return x.to(device=device, dtype=dtype)
    return x.to(device=device, dtype=torch.promote_types(x.dtype, torch.float32))
