"""The base class of smoothed functions: it checks inputs, numbers calls, and runs many examples in a row."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, TypeVar, Unpack

from torch import Tensor
from torch.utils.data import DataLoader

from smoothing.arguments import function, instance, whole_number
from smoothing.arithmetic import ONE_THREAD
from smoothing.base_function import FrozenFunction
from smoothing.engine import Engine
from smoothing.errors import SettingError
from smoothing.evaluation import Evaluation, EvaluationOptions
from smoothing.fixed import Fixed
from smoothing.inputs import Inputs, inputs_of
from smoothing.noise import Noise
from smoothing.noise.bounds_check import require_bounds
from smoothing.sampling import Procedure

R = TypeVar("R")


class Smoothed(Fixed):
    """A base function under noise.

    Args:
        f: base function, (b, *input shape) -> (b, *output shape). A frozen copy is certified (`FrozenFunction`).
        noise: smoothing distribution in the input space.
        evaluation: see `Evaluation`.

    Attributes:
        next_example: number of the streams of samples that the next call without `example` uses. It starts at 0 and
            stays above every number that this object has used, so no two such calls share samples.

    Raises:
        SettingError: an argument is out of its range, or a class where an instance is expected; or the noise declares
            impossible bounds (`require_bounds`, which warns of contradictory ones).
    """

    axes: ClassVar[int | None] = None  # of f's outputs, the batch's included; None: any number

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        chosen = Evaluation.of(**evaluation)
        self.noise = instance("noise", noise, Noise, "Gaussian(sigma=0.25)")
        require_bounds(noise)
        self.seed = chosen.seed
        self.f = FrozenFunction(function(f), chosen.precision, chosen.compiled)
        self.engine = Engine(self.f, chosen.batch_size, chosen.on_samples)
        self.input = Inputs(self.f, noise, self.axes)
        self.next_example = 0

    def __repr__(self) -> str:
        name = getattr(self.f.f, "__name__", type(self.f.f).__name__)
        return f"{type(self).__name__}({name}, {self.noise})"

    def number_of(self, example: int | None) -> int:
        """The number of a call's streams: `example`, or the next unused one. Raises SettingError."""
        with ONE_THREAD:
            number = self.next_example if example is None else whole_number("example", example)
            self.next_example = max(self.next_example, number + 1)
            return number

    def each(
        self, examples: Any, procedure: Callable[[Tensor, int], Procedure[R]], first: int | None, progress: bool
    ) -> Iterator[tuple[int, R]]:
        """The number and the result of each example, in order.

        Args:
            examples: see `inputs.inputs_of`.
            procedure: function from an input and its number to a procedure.
            first: number of the first example; the next unused one if not given.
            progress: whether to show a bar on stderr.
        """
        inputs = inputs_of(examples)
        first = None if first is None else whole_number("first", first)
        numbers: list[int] = []

        def procedures() -> Iterator[Procedure[R]]:
            for k, x in enumerate(inputs):
                numbers.append(self.number_of(None if first is None else first + k))
                yield procedure(self.input(x), numbers[-1])

        results = enumerate(self.engine.run_all(procedures()))
        found = ((numbers[k], result) for k, (result, _) in results)
        return _with_bar(found, _count(examples)) if progress else found


def _with_bar(found: Iterable[R], total: int | None) -> Iterator[R]:
    """The same, with a bar on stderr. Raises SettingError if tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError as error:
        raise SettingError("progress: the bar needs the package tqdm; install it, or leave progress out") from error
    return iter(tqdm(found, total=total, unit=" examples"))


def _count(examples: Any) -> int | None:
    """The number of examples, if known."""
    batches = isinstance(examples, DataLoader) and examples.batch_sampler is not None
    try:
        return len(examples.dataset if batches else examples)
    except TypeError:
        return None
