"""The base class of certifiers that store draws: one set of draws gives a certificate for every input radius."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, Unpack, overload

from torch import Tensor

from smoothing.arguments import input_radii, several
from smoothing.certifier import Certifier
from smoothing.evaluation import EvaluationOptions
from smoothing.metrics import Metric
from smoothing.noise import Noise
from smoothing.origin import Origin
from smoothing.sampling import Procedure
from smoothing.smoothed import Smoothed

D = TypeVar("D")  # the draws
C = TypeVar("C")  # the certificate


class DrawsCertifier(Smoothed, Certifier, Generic[D, C]):
    """A smoothed function whose draws are stored. Each input radius has a row.

    Args:
        f, noise, evaluation: see `Smoothed`.
        metric: distance in the output space; None if there is none.

    Attributes:
        origin: what it draws from. `drawing` stores it in the draws, and `read` refuses draws of another origin.
    """

    case = "eps_in"
    needs_labels = False

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        metric: Metric | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, noise, **evaluation)
        self.origin = Origin(self.f, self.noise, metric)

    @abstractmethod
    def drawing(self, x: Tensor, example: int) -> Procedure[D]:
        """`draw`, as a procedure for `Engine.run_all`; x is a floating-point tensor on f's device."""

    @abstractmethod
    def read(self, draws: D, eps: float) -> C:
        """The certificate for input radius eps, from earlier draws.

        They may be those of another certifier with the same f, noise and metric, see `Origin`.

        Raises:
            SettingError: the draws are of another f, noise or metric.
        """

    def draw(self, x: Any, example: int | None = None) -> D:
        """Draw everything that certificates at x need, for every eps. Arguments and errors as for `certify`."""
        return self.engine.run(self.drawing(self.input(x), self.number_of(example)))

    @overload
    def certify(self, x: Any, eps: float, example: int | None = None) -> C: ...
    @overload
    def certify(self, x: Any, eps: Iterable[float], example: int | None = None) -> list[C]: ...
    def certify(self, x: Any, eps: float | Iterable[float], example: int | None = None) -> C | list[C]:
        """The certificate at x for one input radius or, from the same draws, for several.

        Args:
            x: one input, (*input shape); moved to f's device.
            eps: input radius or radii in the noise's threat norm, in the units of x, >= 0: a number, or several in a
                list, tuple, array, tensor or generator.
            example: number of the streams of samples, to reproduce a result; fresh ones by default.

        Returns:
            A certificate; a list of them where eps are several.

        Raises:
            BaseFunctionError: see `FrozenFunction`; or outputs that the certifier cannot use.
            SettingError: x is no input (`inputs.as_tensor`), or eps no numbers of at least 0.
        """
        one, radii = not several(eps), input_radii(eps)
        return self._read(self.draw(x, example), radii, one)

    def certify_all(
        self, examples: Any, eps: Any, *, first: int | None = None, progress: bool = False
    ) -> Iterator[tuple[int, Any]]:
        """Certify examples one after another. Arguments and errors as for `certify`.

        Args:
            examples: a batch (b, *input shape), a `DataLoader`, a data set, or a list of inputs or of (input, label).
            eps: one input radius or several.
            first: `example` of the first one, the others count on from there; the next free number by default.
            progress: show a bar on stderr.

        Yields:
            (number, certificate or list of them) of each: `certify(x, eps, example=number)` gives the same.
        """
        one, radii = not several(eps), input_radii(eps)

        def certifying(x: Tensor, example: int) -> Procedure[Any]:
            return self._read((yield from self.drawing(x, example)), radii, one)

        return self.each(examples, certifying, first, progress)

    def _read(self, draws: D, radii: list[float], one: bool) -> Any:
        found = [self.read(draws, radius) for radius in radii]
        return found[0] if one else found

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[D]:
        return self.drawing(x, example)

    def cases(self, eps: Any) -> list[float]:
        """The input radii without repetition. Raises SettingError if one is not a number of at least 0."""
        return list(dict.fromkeys(input_radii(eps)))

    def statements(self, drawn: D, cases: list[float]) -> list[C]:
        return [self.read(drawn, eps) for eps in cases]
