"""What can be refused, as exceptions whose message is one line a user can act on."""


class SmoothingError(Exception):
    """Base of every error that this project raises on purpose."""

    def __str__(self) -> str:
        """In one line, whatever values or other libraries' messages are quoted in it."""
        return " ".join(super().__str__().split("\n"))


class SettingError(SmoothingError, ValueError):
    """A setting out of its range, or settings with which no certificate can ever be given."""


class SmoothingWarning(UserWarning):
    """What is allowed, and is likely to be a mistake."""


class BaseFunctionError(SmoothingError, ValueError):
    """A base function that is not one fixed function of its input, or whose outputs have the wrong shape."""
