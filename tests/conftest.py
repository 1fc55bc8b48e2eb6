"""One thread for every test, and the research data for those that need it."""

import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from tests.shared import SHARED

pytest_plugins = ("pytester",)

settings.register_profile("gmner", deadline=None)  # a shared machine may hold up any single example
settings.load_profile("gmner")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Two threads that share two cores wait for each other, and results must not depend on their number."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def research(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of an archive of the research data by its name, unpacked once; for tests that are `needs_shared`."""
    folder = tmp_path_factory.mktemp("research")

    @cache
    def unpack(name: str) -> Path:
        assert SHARED is not None
        with zipfile.ZipFile(SHARED / "data" / f"{name}.zip") as archive:
            archive.extractall(folder)
        return folder / name

    return unpack
