"""A trained model on a test split: what `gmner train` ends with, and `gmner test` does on any other data."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gmner.report.card import Card
    from gmner.training.recipe import Recipe
    from gmner.types import Example

# Options of both commands.
Images = Annotated[
    Path | None, typer.Option(help="The folder of the pictures, <image id>.jpg, if posts don't name their own.")
]
Knowledge = Annotated[
    Path | None, typer.Option(help="A folder of knowledge files, for recipes whose model reads knowledge.")
]
Threads = Annotated[int, typer.Option(help="Processor threads to use.", min=1)]


def read_split(data: Path, split: str, images: Path | None, knowledge: Path | None) -> "list[Example]":
    """The posts of a split, with their answers of a language model where there is a folder of these.

    Raises:
        DataError: the split has no posts, or the folder no answers for it; and what reading them raises.
    """
    from gmner.cli.data import tell
    from gmner.data import read, with_knowledge
    from gmner.data.splits import split_files
    from gmner.errors import DataError

    examples = read(data, split, images)
    if not examples:
        raise DataError(
            str(data),
            f"no posts in the split {split!r}",
            allowed="a model is trained on the train split, chosen by dev and scored on test",
            todo="give a folder or file that has the split",
        )
    if knowledge is not None:
        files = split_files(knowledge)
        if split not in files:
            raise DataError(
                str(knowledge),
                f"no file for the split {split!r}",
                allowed="knowledge is a folder with train.txt, dev.txt (or valid.txt) and test.txt",
                todo="give such a folder",
            )
        examples, report = with_knowledge(examples, files[split])
        tell(report)
    return examples


def refuse_knowledge(plan: "Recipe", knowledge: Path | None) -> None:
    """Knowledge is for recipes that read it.

    Raises:
        ConfigError: it is given for another one.
    """
    from gmner.errors import ConfigError

    if knowledge is not None and not plan.reads_knowledge:
        raise ConfigError(
            f"--knowledge {knowledge} for a recipe that reads none",
            allowed="only a model that reads knowledge is given it",
            todo="drop --knowledge, or choose another recipe",
        )


def score_test(plan: "Recipe", model: Path, posts: "Sequence[Example]", data: str, output: Path) -> dict[str, Any]:
    """What a card says of the model in the folder `model` on these posts; its predictions go to `output`."""
    from gmner.data import write_rows
    from gmner.report.card import card_scores
    from gmner.report.provenance import data_version, machine

    tested = plan.test(model, posts)
    output.mkdir(parents=True, exist_ok=True)
    write_rows(output / "test.jsonl", tested.predictions)
    found = data_version(posts, data)
    return {
        "data": found.name,
        "version": found.version,
        "split": "test",
        "posts": len(posts),
        "machine": machine(),
        "scores": card_scores(posts, tested.predictions, tested.tasks) if tested.tasks else (),
        "measures": {name: round(value, 4) for name, value in tested.measures.items()},
    }


def leave_card(card: "Card", output: Path) -> None:
    """Write the card into the folder, also as a page."""
    from gmner.report.card import write_card

    write_card(output / "card.json", card)
    (output / "README.md").write_text(card.markdown(), encoding="utf-8")
