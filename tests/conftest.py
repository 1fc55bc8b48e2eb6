"""One thread for every test: two that share two cores wait for each other, and results must not depend on it."""

import pytest
from hypothesis import settings

settings.register_profile("gmner", deadline=None)  # a shared machine may hold up any single example
settings.load_profile("gmner")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
