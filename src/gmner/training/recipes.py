"""Recipes by the task that they name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gmner.config import from_dict, read_values, settings_of
from gmner.errors import UnknownNameError
from gmner.training.albef import ALBEFRecipe
from gmner.training.blind import BlindRecipe
from gmner.training.evg import EVGRecipe
from gmner.training.h_index import HIndexRecipe
from gmner.training.ita import ITARecipe
from gmner.training.mqspn import MQSPNRecipe
from gmner.training.ofa import OFAEntailRecipe, OFAGroundRecipe
from gmner.training.recipe import Recipe
from gmner.training.recognise import RecogniseRecipe
from gmner.training.seqtr import SeqTRRecipe
from gmner.training.umgf import UMGFRecipe
from gmner.training.umt import UMTRecipe

RECIPES: Final[Mapping[str, type[Any]]] = {
    "albef": ALBEFRecipe,
    "blind": BlindRecipe,
    "evg": EVGRecipe,
    "h-index": HIndexRecipe,
    "ita": ITARecipe,
    "mqspn": MQSPNRecipe,
    "ofa-entail": OFAEntailRecipe,
    "ofa-ground": OFAGroundRecipe,
    "recognise": RecogniseRecipe,
    "seqtr": SeqTRRecipe,
    "umgf": UMGFRecipe,
    "umt": UMTRecipe,
}


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a TOML file, changed by overrides such as `training.epochs=3`.

    Raises:
        ConfigError: the file is missing or not TOML, or a setting is wrong.
        UnknownNameError: there is no such task or setting.
    """
    values = read_values(path, overrides)
    task = values.get("task", "recognise")
    with settings_of(str(path)):
        if task not in RECIPES:
            raise UnknownNameError("task", str(task), RECIPES)
        recipe: Recipe = from_dict(RECIPES[task], values)
    return recipe
