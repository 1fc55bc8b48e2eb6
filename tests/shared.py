"""The research data beside the repository, if it is there."""

import os
from pathlib import Path
from typing import Final

import pytest

_folder = Path(os.environ.get("GMNER_SHARED") or Path(__file__).parents[2] / "shared")

SHARED: Final[Path | None] = _folder if _folder.is_dir() else None

needs_shared = pytest.mark.skipif(SHARED is None, reason="the research data beside the repository is absent")
