"""The library's exceptions. Each message is one line that says what is wrong, what was expected and what to do."""


class SmoothingError(Exception):
    """Base class of all errors that this library raises on purpose."""

    def __str__(self) -> str:
        """The message in one line, even if it quotes values or other libraries' messages."""
        return " ".join(super().__str__().split("\n"))


class SettingError(SmoothingError, ValueError):
    """A setting is out of range, or no certificate is possible with these settings."""


class SmoothingWarning(UserWarning):
    """Something that is allowed but probably a mistake."""


class BaseFunctionError(SmoothingError, ValueError):
    """The base function is not one fixed function of its input, it raised, or its outputs have the wrong shape."""
