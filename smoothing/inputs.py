"""The inputs that a user may pass: one input as a tensor, or anything that is unambiguously one."""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SubsetRandomSampler, WeightedRandomSampler

from smoothing.base_function import FrozenFunction
from smoothing.errors import SettingError, SmoothingWarning
from smoothing.noise import Noise

PIXEL_SIGMA = 2.0  # sigma is smaller for pixels in [0, 1], and larger for pixels in 0..255
UNSCALED = (15, 255)  # range of the largest value of an image of 4 to 8 bits that was not divided
FEWEST = 16  # numbers that an input needs for this warning
SHUFFLING = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)


def as_tensor(x: Any) -> Tensor:
    """One input as a plain tensor without gradients: (*input shape), floating-point, all numbers finite.

    It is a copy: the caller may use the memory again, for the next input, before this one is evaluated.

    Args:
        x: a tensor, a NumPy array or a list of floats; or a pair (input, label) as data sets return it. The label is
            ignored.

    Raises:
        SettingError: x is something else, such as an image of bytes, a PIL image or a data set, or not all its numbers
            are finite.

    Examples:
        >>> as_tensor([0.25, 0.5])
        tensor([0.2500, 0.5000], dtype=torch.float64)
        >>> as_tensor((torch.zeros(1, 2, 2), 7)).shape  # (input, label)
        torch.Size([1, 2, 2])
        >>> as_tensor(torch.zeros(2, dtype=torch.uint8))
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: x: expected a floating-point tensor, got torch.uint8; divide bytes by 255, ...
    """
    if _is_pair(x):
        x = x[0]
    if _is_image(x):
        raise SettingError(
            "x: expected a tensor, got a PIL image; use torchvision.transforms.functional.to_tensor(x), with numbers "
            "in [0, 1], and then normalise it as your model expects"
        )
    if isinstance(x, list) and not any(getattr(each, "shape", ()) for each in x):
        try:
            x = np.array(x)
        except ValueError as error:
            raise SettingError(f"x: expected numbers, got a list that is not an array ({error})") from error
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
    x = x.detach().as_subclass(Tensor).clone()
    if not x.numel():
        raise SettingError(f"x: expected at least one number, got shape {tuple(x.shape)}")
    if not bool(x.isfinite().all()):
        raise SettingError("x: some of its numbers are NaN or infinite, so nothing can be certified")
    return x


def require_floating(x: Tensor) -> None:
    """Raise SettingError unless x is a floating-point tensor."""
    if not x.is_floating_point():
        bytes_ = "; divide bytes by 255, as x.float() / 255" if x.dtype == torch.uint8 else "; use x.float()"
        raise SettingError(f"x: expected a floating-point tensor, got {x.dtype}{bytes_}")


def pixels_warning(x: Tensor, noise: Noise | None) -> str:
    """A warning if x looks like pixels in 0..255 but the noise like one for pixels in [0, 1]; empty otherwise.

    It does not warn for latents and standardised data, which have negative numbers. Measurements are rarely whole
    numbers, and images of measurements are rarely above 100 with such small noise.

    Examples:
        >>> from smoothing import Gaussian
        >>> pixels_warning(torch.rand(3, 8, 8), Gaussian(sigma=0.25))
        ''
        >>> print(pixels_warning(torch.full((3, 8, 8), 200.0), Gaussian(sigma=0.25)))
        x: its numbers go up to 200 and the noise has sigma=0.25. If your model takes pixels in [0, 1], ...
    """
    sigma = getattr(noise, "sigma", None)
    if sigma is None or not sigma < PIXEL_SIGMA or x.numel() < FEWEST:
        return ""
    largest = float(x.max())
    if largest < UNSCALED[0] or float(x.min()) < 0:
        return ""
    levels = UNSCALED[0] <= largest <= UNSCALED[1] and bool((x == x.round()).all())
    if not levels and not (x.dim() > 1 and largest > 100):
        return ""
    return (
        f"x: its numbers go up to {largest:g} and the noise has sigma={sigma:g}. If your model takes pixels in [0, 1], "
        f"divide x by {255 if largest > UNSCALED[0] + 1 else 'its largest level'}: the certificate is about x as given"
    )


class Inputs:
    """Converts the inputs of one smoothed function to tensors for its base function.

    Args:
        f: the base function.
        noise: of the smoothed function; used to warn about pixels that were not divided by 255.
        axes: number of dimensions of f's outputs, the batch's included; 2 for a classifier. None: any number.
    """

    def __init__(self, f: FrozenFunction, noise: Noise, axes: int | None = None) -> None:
        self._f, self._noise, self._axes = f, noise, axes
        self._warned = False
        self._batches_of_one: dict[torch.Size, bool] = {}

    def __call__(self, x: Any) -> Tensor:
        """One input, (*input shape), on the network's device and in its precision.

        If the network's weights are float32, x is rounded to float32, and the certificate is about the rounded x. A
        first dimension of length 1 is dropped as a batch of one only if f fails with it and runs without it.

        Raises:
            SettingError: see `as_tensor`.
        """
        x = as_tensor(x)
        if not self._warned and (warning := pixels_warning(x, self._noise)):
            self._warned = True
            warnings.warn(warning, SmoothingWarning, stacklevel=3)
        x = placed(x, self._f.tensors())
        if x.dim() > 1 and len(x) == 1:
            if x.shape not in self._batches_of_one:
                self._batches_of_one[x.shape] = not self._runs(x[None]) and self._runs(x)
            if self._batches_of_one[x.shape]:
                x = x[0]
        return x

    def _runs(self, batch: Tensor) -> bool:
        try:
            outputs = self._f(batch)
        except Exception:  # any error; it is raised again at the first samples
            return False
        return self._axes is None or outputs.dim() == self._axes


def inputs_of(examples: Any) -> Iterator[Any]:
    """The inputs in `examples`, one by one, each of a type that `as_tensor` accepts.

    Args:
        examples: a tensor or array, (b, *input shape); a `DataLoader`, whose batches are split; or a list, a generator
            or a data set of inputs or of pairs (input, target). A target may be anything, such as a mask. Examples are
            numbered in this order, so a `DataLoader` that shuffles gives a warning: its numbers are no indices of the
            data set.

    Raises:
        SettingError: examples is something else, such as a pair (inputs, labels); or, in its turn, an example is
            neither an input nor a pair.

    Examples:
        >>> [x.shape for x in inputs_of(torch.zeros(2, 3))]
        [torch.Size([3]), torch.Size([3])]
    """
    if isinstance(examples, DataLoader) and any(
        isinstance(each, SHUFFLING) for each in (examples.sampler, getattr(examples.batch_sampler, "sampler", None))
    ):
        warnings.warn(
            "examples: the DataLoader shuffles, so the results are in the order that it gives, not in that of its data "
            "set; use shuffle=False",
            SmoothingWarning,
            stacklevel=3,
        )
    if isinstance(examples, DataLoader) and examples.batch_sampler is not None:
        return (row for batch in examples for row in _rows(batch))
    if isinstance(examples, Tensor | np.ndarray):
        return iter(_rows(examples))
    if _is_labelled_batch(examples):
        raise SettingError(
            f"examples: expected inputs, got inputs {tuple(examples[0].shape)} and labels {tuple(examples[1].shape)}; "
            "leave out the labels"
        )
    if not isinstance(examples, Iterable) and hasattr(examples, "__getitem__") and hasattr(examples, "__len__"):
        return (_without_target(examples[k]) for k in range(len(examples)))
    if not isinstance(examples, Iterable) or isinstance(examples, str | bytes | dict):
        raise SettingError(
            f"examples: expected a batch, a DataLoader, a data set or a list of inputs, got {type(examples).__name__}"
        )
    return map(_without_target, examples)


def _is_labelled_batch(examples: Any) -> bool:
    """Whether examples is (inputs, labels): a batch, and a number for each of its inputs."""
    if not isinstance(examples, tuple | list) or len(examples) != 2:
        return False
    if not all(isinstance(each, Tensor | np.ndarray) for each in examples):
        return False
    inputs, labels = examples
    return bool(inputs.ndim > 1 and labels.ndim == 1 and len(inputs) == len(labels))


def _without_target(example: Any) -> Any:
    """The input of a pair (input, target), or an example that may be an input. Raises SettingError for others."""
    if isinstance(example, tuple) and len(example) == 2 and hasattr(example[0], "shape"):
        return example[0]
    parts = isinstance(example, tuple) or (isinstance(example, list) and any(getattr(e, "shape", ()) for e in example))
    if isinstance(example, dict) or (parts and not _is_pair(example)):
        first = next(iter(example), 0) if isinstance(example, dict) else 0
        kinds = ", ".join(type(each).__name__ for each in example)
        raise SettingError(
            "examples: expected each to be an input or a pair (input, label), got "
            f"{f'a dict of {list(example)}' if isinstance(example, dict) else f'parts ({kinds})'}; pass the inputs "
            f"alone, such as [example[{first!r}] for example in examples]"
        )
    return example


def _rows(batch: Any) -> Any:
    """The inputs of a batch, without labels. Raises SettingError if it is not a batch."""
    inputs = batch[0] if isinstance(batch, tuple | list) and batch else batch
    if not isinstance(inputs, Tensor | np.ndarray) or inputs.ndim < 1:
        raise SettingError(
            f"examples: expected batches (b, *input shape), or pairs (inputs, labels), got {type(inputs).__name__}"
        )
    return inputs


def _is_pair(x: Any) -> bool:
    """Whether x is (input,) or (input, label) with a label that is one number, one name or None."""
    if not isinstance(x, tuple | list) or not 1 <= len(x) <= 2 or not (hasattr(x[0], "shape") or _is_image(x[0])):
        return False
    if isinstance(x, list) and not getattr(x[0], "shape", True):  # a list of numbers
        return False
    label = x[1] if len(x) == 2 else None
    if isinstance(label, Tensor | np.ndarray):
        return label.size == 1 if isinstance(label, np.ndarray) else label.numel() == 1
    return label is None or isinstance(label, int | np.integer | str)


def _is_image(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "PIL"


def placed(x: Tensor, tensors: Iterable[Tensor]) -> Tensor:
    """The input x on the device of a base function's parameters and buffers, and in their dtype.

    If there are none, or of several dtypes, x keeps its dtype, but at least float32. If they are in half precision, x
    keeps half precision only if it already has it.
    """
    weights = [t for t in tensors if t.is_floating_point()]
    devices, dtypes = {t.device for t in weights}, {t.dtype for t in weights}
    device = devices.pop() if len(devices) == 1 else x.device
    if len(dtypes) == 1 and (dtype := dtypes.pop()) in (torch.float32, torch.float64, x.dtype):
        return x.to(device=device, dtype=dtype)
    return x.to(device=device, dtype=torch.promote_types(x.dtype, torch.float32))
