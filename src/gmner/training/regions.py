"""The candidate regions of training posts: those that posts bring along, or those of a detector's files."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gmner.data.candidates import Regions, read_candidates, read_vinvl, with_candidates
from gmner.errors import ConfigError
from gmner.types import Example

logger = logging.getLogger(__name__)


class Regional(NamedTuple):
    """A post with its candidates, and a detector's features of them, if there are any."""

    example: Example
    features: np.ndarray | None


def with_regions(examples: Sequence[Example], candidates: Path | None, *, features: bool) -> list[Regional]:
    """Every post with the candidates of `candidates`: VinVL's folder, or a file or folder of ours.

    Without it posts keep their own, and so does a post that is not in it; how many these are is logged.

    Raises:
        ConfigError: `features` are needed, and there are no files or none of them has any.
        DataError: the files are missing or damaged.
    """
    regions = {} if candidates is None else _read(candidates, [example.id for example in examples])
    if features and all(found.features is None for found in regions.values()):
        raise ConfigError(
            "no features of candidate regions" if candidates is None else f"no features in {candidates}",
            allowed="this model reads a detector's features of each candidate",
            todo="give `candidates`, files that hold them, or let the model see crops",
        )
    absent = [example.id for example in examples if example.image is not None and example.id not in regions]
    if candidates is not None and absent:
        logger.warning("%d of %d posts have a picture and are not in %s, the first is %s: they keep the candidates "
                       "that they bring along, if any", len(absent), len(examples), candidates, absent[0])  # fmt: skip
    filled, _ = with_candidates(examples, regions)
    return [
        Regional(example, regions[example.id].features if features and example.id in regions else None)
        for example in filled
    ]


def _read(candidates: Path, ids: Sequence[str]) -> dict[str, Regions]:
    if candidates.is_dir() and any(candidates.glob("*.jpg.npz")):
        return read_vinvl(candidates, ids)[0]
    return read_candidates(candidates)
