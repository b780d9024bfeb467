"""Errors that are the user's to fix. Anything else is our fault and keeps its traceback."""

from tunesmith.messages import tr


class UserError(Exception):
    """A file, a recipe, an option or a path needs the user's hand; the command ends with exit code 2.

    `message` says what is wrong, with the place and the value in it; `cure` says what to do next.
    """

    exit_code = 2

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, str]]:
        """Whole when a worker process hands it over."""
        return type(self), (self.message, self.cure)

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.cure}" if self.cure else self.message


class ProofError(UserError):
    """A proof or a gate refused the step; the command ends with exit code 3."""

    exit_code = 3


def missing_extra(package: str, extra: str, purpose: str) -> UserError:
    """The error for an optional dependency that is not installed."""
    return UserError(
        tr("{purpose} needs the package {package}, which is not installed", purpose=purpose, package=package),
        f"pip install 'tunesmith[{extra}]'",
    )
