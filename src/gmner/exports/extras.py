"""Libraries that are installed by an extra of the same name: loaded when needed, told by one sentence when absent."""

from importlib import import_module
from typing import Any

from gmner.errors import MissingPackageError


def require(package: str) -> Any:
    """The package, loaded.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:  # it is there, and something that it needs is not
            raise
        raise MissingPackageError(
            f"{package} is not installed",
            allowed=f"what is exported to {package} is made by it",
            todo=f'pip install "gmner[{package}]"',
        ) from None
