"""The candidate regions of training posts: those that posts bring along, or those of a detector's files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gmner.data.candidates import Regions, read_candidates, read_vinvl
from gmner.errors import ConfigError
from gmner.types import Example


class Regional(NamedTuple):
    """A post with its candidates, and a detector's features of them, if there are any."""

    example: Example
    features: np.ndarray | None


def with_regions(examples: Sequence[Example], candidates: Path | None, *, features: bool) -> list[Regional]:
    """Every post with the candidates of `candidates`: VinVL's folder, or a file of ours (`gmner.data.candidates`).

    Without it posts keep their own, and so does a post that is not in it.

    Raises:
        ConfigError: `features` are needed, and there are no files or none of them has any.
        DataError: the files are missing or damaged.
    """
    if candidates is None:
        regions: Mapping[str, Regions] = {}
    elif candidates.is_dir():
        regions, _ = read_vinvl(candidates, [example.id for example in examples])
    else:
        regions = read_candidates(candidates)
    if features and all(found.features is None for found in regions.values()):
        raise ConfigError(
            "no features of candidate regions" if candidates is None else f"no features in {candidates}",
            allowed="this model reads a detector's features of each candidate",
            todo="give `candidates`, files that hold them, or let the model see crops (`model.crop`)",
        )
    return [
        Regional(
            replace(example, candidates=regions[example.id].candidates()) if example.id in regions else example,
            regions[example.id].features if features and example.id in regions else None,
        )
        for example in examples
    ]
