"""What a run is, in terms of JSON: only a run that is the same goes on with what another has begun."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmner import __version__
from gmner.batch.source import Source
from gmner.errors import DataError

Manifest = dict[str, Any]


def describe(source: Source, target: Path, settings: Mapping[str, Any]) -> Manifest:
    """The manifest of a run; `settings` say what makes its predictions.

    Raises:
        DataError: a path is not Unicode, so that neither this nor errors could name it.
    """
    for path in filter(None, (source.path, source.images, target)):
        try:
            str(path.resolve()).encode()
        except UnicodeEncodeError:
            raise DataError(
                ascii(str(path)),
                "a path with bytes that are no characters",
                allowed="the paths of posts and predictions are Unicode, as they are written into files",
                todo="rename the file or folder",
            ) from None
    manifest = {
        "gmner": __version__,
        "source": str(source.path.resolve()),
        "split": source.split,
        "images": source.images and str(source.images.resolve()),
        "target": str(target.resolve()),
        "settings": settings,
    }
    described: Manifest = json.loads(json.dumps(manifest, default=str))
    return described


def check_same(path: Path, begun: Manifest, now: Manifest) -> None:
    """Raise a DataError that names the first difference of a run from the one that was begun at `path`, if any."""
    key = next((key for key in {**begun, **now} if begun.get(key) != now.get(key)), None)
    if key is not None:
        raise DataError(
            str(path),
            f"a run was begun with {key} {json.dumps(begun.get(key))}, which is now {json.dumps(now.get(key))}",
            allowed="an unfinished run goes on with the source, system, settings and version that it was begun with",
            todo="start it with those, or restart it (--restart), which drops what it has done",
        )
