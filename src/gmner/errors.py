"""What a user can get wrong, each told in one sentence: what was given, what is allowed, what to do."""

import difflib
from collections.abc import Iterable
from typing import Any, Self


class GmnerError(Exception):
    """Base of every error that a user can cause and mend.

    Commands print the sentence and leave with exit code 2; a batch keeps it as the error of the row that caused it.
    """

    def __init__(self, given: str, *, allowed: str, todo: str) -> None:
        super().__init__(f"{given}; {allowed}; {todo}.")
        self.given, self.allowed, self.todo = given, allowed, todo

    def within(self, where: str) -> Self:
        """The same error, said of a place: a file, a system."""
        again: Self = _again(
            type(self), (f"{where}: {self.args[0]}",), {**self.__dict__, "given": f"{where}: {self.given}"}
        )
        return again

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel between processes: made again from what they hold, without their constructors."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[GmnerError], arguments: tuple[Any, ...], values: dict[str, Any]) -> Any:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(values)
    return error


def reason(error: OSError) -> str:
    """Why the system refuses a file or folder, in words that say what is wrong with the path."""
    if isinstance(error, IsADirectoryError):
        return "this is a folder, where a file belongs"
    if isinstance(error, FileExistsError | NotADirectoryError):  # a folder was to be made or looked into
        return "this is a file or lies below one, where a folder belongs"
    return error.strerror or str(error) or type(error).__name__


class TextError(GmnerError):
    """A text that holds nothing to read, or more than can be read at once."""


class ImageError(GmnerError):
    """A picture that is missing, unreadable, of a format that is not read, or past a cap."""


class EntityError(GmnerError):
    """A span, type, box or mask that cannot be."""


class DataError(GmnerError):
    """A data file that breaks its format; `where` is `file:line` if known."""

    def __init__(self, where: str, given: str, *, allowed: str, todo: str) -> None:
        super().__init__(f"{where}: {given}", allowed=allowed, todo=todo)
        self.where, self.given = where, given


class MismatchError(GmnerError):
    """Gold and predictions that are not about the same posts."""


class ConfigError(GmnerError):
    """A setting that does not exist or holds a value of the wrong kind."""


class CheckpointError(GmnerError):
    """A checkpoint that is missing, damaged, partial or of another model."""


class LLMError(GmnerError):
    """A language model that can not be asked, gave no answer, or may not be asked any more."""


class FailureError(GmnerError):
    """A system that fails for no reason that lies in the post: a fault of its own, no memory, a process that died."""


class MissingPackageError(GmnerError):
    """An optional package that is needed and absent."""


class UnknownNameError(GmnerError):
    """A name (system, protocol, task, format ...) that is not among the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        super().__init__(
            f"there is no {kind} {name!r}",
            allowed=f"known are {', '.join(names)}",
            todo=f"did you mean {near[0]!r}?" if near else "choose one of these",
        )

    def __str__(self) -> str:
        return super().__str__().replace("?.", "?")
