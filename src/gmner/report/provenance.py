"""Where a number comes from: the commit of the code, the machine, and which data set and version was scored."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import gmner
from gmner.types import Entity, Example


class DataVersion(NamedTuple):
    """A data set's name and version. A version that is not known by name is the fingerprint of the posts."""

    name: str
    version: str


_KNOWN: Final[dict[str, DataVersion]] = {
    "467f93d92810": DataVersion("twitter-gmner", "v1"),
    "6280e213c262": DataVersion("twitter-gmner", "v2.0"),
    "bb667a3a31d1": DataVersion("twitter-2015", "as released"),
    "d6727841d9b4": DataVersion("twitter-2017", "as released"),
}
"""Test splits of published data sets by fingerprint."""


def fingerprint(examples: Iterable[Example]) -> str:
    """Twelve hexadecimal digits that stand for the posts' ids, texts and gold entities, in whatever order they come.

    Pictures, captions, candidates and masks have no part in it.
    """
    lines = sorted(
        json.dumps([example.id, example.text, *sorted(map(_entity, example.entities or ()))]) for example in examples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _entity(entity: Entity) -> str:
    return json.dumps(
        [entity.text, entity.type, entity.start, entity.end, *(list(map(float, b)) for b in entity.boxes)]
    )


def data_version(examples: Iterable[Example], name: str) -> DataVersion:
    """What posts with gold entities are: a published test split, known by its content, or else `name`."""
    digits = fingerprint(examples)
    return _KNOWN.get(digits, DataVersion(name, digits))


def commit() -> str:
    """The commit of the running code, `-dirty` where files differ from it; without a repository its version."""
    folder = Path(gmner.__file__).parent
    try:
        # A virtual environment may lie in a repository of something else: the file must be tracked there.
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        return _git(folder, "describe", "--always", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return f"gmner {gmner.__version__}"


def machine() -> str:
    """This machine in general words, such as `2 cores, no GPU`. GPUs are looked for only where torch is loaded."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch = sys.modules.get("torch")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    return f"{cores} core{'' if cores == 1 else 's'}, {', '.join(names) or 'no GPU'}"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
