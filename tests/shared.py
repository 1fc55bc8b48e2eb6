"""Where the research data and fixtures beside the repository are, if they are."""

import os
from pathlib import Path

import pytest

_folder = Path(os.environ.get("GMNER_SHARED", Path(__file__).parents[2] / "shared"))
SHARED: Path | None = _folder if _folder.is_dir() else None
needs_shared = pytest.mark.skipif(SHARED is None, reason="the research data beside the repository is absent")
