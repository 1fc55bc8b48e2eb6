"""Memory that is freed stays with the process."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from gmner.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def pages():
    blocks = [b"x" * (20 << 20) for _ in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = pages()
for _ in range(10):
    last = pages()
print(last - first)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="with another libc nothing is changed")
def test_pages_are_fetched_once() -> None:
    """Ten times 60 MB are 150,000 pages of 4 KiB."""
    given_back, kept = (
        int(subprocess.run([sys.executable, "-c", FAULTS, word], check=True, capture_output=True).stdout)
        for word in ("given back", "kept")
    )
    assert kept < given_back / 10
