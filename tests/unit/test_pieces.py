"""Sub-words that are learned from posts: the same each time, and a tokenizer like any other."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.errors import DataError
from gmner.nn.encoders import OWN, load_tokenizer, word_pieces
from gmner.nn.pieces import SPECIAL, learn_pieces, texts_of
from gmner.training.h_index import HIndexRecipe
from gmner.training.recipes import read_recipe
from gmner.types import Entity, Example

RECIPE = Path(__file__).parents[2] / "recipes" / "h-index-drawn.toml"
TEXTS = ["Ada sings in Rome", "Ada and Bob in a red hat", "a red ball"] * 3


def test_texts_are_all_that_posts_have_to_read() -> None:
    ada = Entity("Ada", "PER", extra={"expansion": "a woman"})
    post = Example(text="Ada sings", caption="a stage", knowledge="Ada is a singer", entities=(ada, Entity("X", "LOC")))
    assert texts_of([post, Example(text="hm")]) == ["Ada sings", "a stage", "Ada is a singer", "hm", "a woman"]


def test_the_same_texts_give_the_same_pieces_special_ones_first() -> None:
    first, again = learn_pieces(TEXTS, 60), learn_pieces(iter(TEXTS), 60)
    assert first.get_vocab() == again.get_vocab() and len(first) <= 60
    assert first.convert_ids_to_tokens(range(len(SPECIAL))) == list(SPECIAL)
    assert first.cls_token_id == 2 and first.pad_token_id == 0 and first.sep_token_id == 3


def test_frequent_words_are_whole_and_unknown_letters_are_told_apart() -> None:
    tokenizer = learn_pieces(TEXTS, 60)
    pieces = word_pieces(tokenizer, ["Ada", "RED", "☃", "dab"])
    assert len(pieces["Ada"]) == len(pieces["RED"]) == 1
    assert pieces["☃"] == [tokenizer.unk_token_id]
    assert "".join(tokenizer.convert_ids_to_tokens(pieces["dab"])).replace("##", "") == "dab"


def test_the_command_leaves_a_folder_that_names_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "posts.jsonl").write_text("".join(f'{{"text": "{text}"}}\n' for text in TEXTS), encoding="utf-8")
    command = ["data", "pieces", str(tmp_path / "posts.jsonl"), str(tmp_path / "pieces"), "--size", "100"]
    assert CliRunner().invoke(app, command).exception is None
    assert load_tokenizer(str(tmp_path / "pieces")).get_vocab() == learn_pieces(TEXTS, 100).get_vocab()
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, DataError) and "choose a new or empty folder" in str(refused.exception)


@pytest.mark.parametrize("name", OWN)
def test_what_the_package_carries_fits_the_recipes_that_name_it(name: str) -> None:
    tokenizer, recipe = load_tokenizer(name), read_recipe(RECIPE)
    assert isinstance(recipe, HIndexRecipe)
    model = recipe.model
    assert (model.tokenizer, model.first_label) == (name, len(tokenizer))
    special = (tokenizer.cls_token_id, tokenizer.pad_token_id, tokenizer.sep_token_id)
    assert (model.start_piece, model.pad_piece, model.end_piece) == special
