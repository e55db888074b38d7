"""Objects whose settings are fixed once they are made: what is computed from a setting can then not contradict it."""

import inspect
from abc import ABCMeta
from functools import cache
from typing import Any, ClassVar

from smoothing.errors import SettingError


class FixedSettings(ABCMeta):
    """Metaclass of classes whose instances refuse another value for an argument of their constructor.

    Certificates rely on numbers that a constructor computes from its settings, such as a level or a table. A subclass
    may set anything in its own `__init__`, and attributes that are no settings at any time.
    """

    def __call__(cls, *args: Any, **settings: Any) -> Any:
        made = super().__call__(*args, **settings)
        object.__setattr__(made, "_made", True)
        return made

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of the constructor, for `inspect.signature`, which would otherwise describe `__call__`."""
        init = getattr(cls, "__init__")  # noqa: B009 - of this class, whatever its instances are
        return inspect.Signature() if init is object.__init__ else inspect.signature(init.__get__(object()))


class Fixed(metaclass=FixedSettings):
    """Base class of certifiers, noises and metrics.

    Attributes:
        _fixed: names that are fixed besides the arguments of the constructor.

    Examples:
        >>> from smoothing import Gaussian
        >>> noise = Gaussian(sigma=0.5)
        >>> noise.sigma = 1.0
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: sigma: it is fixed when Gaussian is made; make a new one
    """

    _fixed: ClassVar[tuple[str, ...]] = ()
    _made = False

    def __setattr__(self, name: str, value: Any) -> None:
        if self._made and not name.startswith("_") and (name in self._fixed or name in _arguments(type(self))):
            raise SettingError(f"{name}: it is fixed when {type(self).__name__} is made; make a new one")
        super().__setattr__(name, value)


def settings_of(made: Fixed) -> dict[str, Any]:
    """The settings that an object was made with, by name, as far as it keeps them: as `name` or `_name`.

    Examples:
        >>> from smoothing import Splitting
        >>> settings_of(Splitting(sigma=0.5, levels=4))["levels"]
        4
    """
    own = vars(made)
    names = sorted({*made._fixed, *_arguments(type(made))})
    return {name: own.get(name, own.get(f"_{name}")) for name in names}


@cache
def _arguments(cls: type) -> set[str]:
    """The names of the arguments of a class's constructor, and of those of its base classes that it passes on."""
    inits = (vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base) and base is not object)
    return {name for init in inits for name in list(inspect.signature(init).parameters)[1:]}
