"""A recipe: one TOML file that says what is trained, from what, and how; and a card that says what came out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gmner.models.tagger.config import TaggerConfig
from gmner.training.loop import Epoch, TrainingConfig


@dataclass(frozen=True)
class Recipe:
    """What `gmner train` reads.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        model: the tagger's settings.
        training: the loop's settings.
        frozen: prefixes of parameter names that keep the weights of the encoder.
        groundable_weight: weight of the groundable head's loss beside the CRF's.
    """

    about: str
    task: Literal["recognise"] = "recognise"
    model: TaggerConfig = field(default_factory=TaggerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    frozen: tuple[str, ...] = ()
    groundable_weight: float = 0.2


def write_card(
    path: Path, recipe: Recipe, command: str, data: str, history: list[Epoch], test: dict[str, float] | None
) -> None:
    """Write beside the weights how they were made and how well they do."""
    lines = [f"# {path.parent.name}", "", recipe.about, "", f"- made by: `{command}`", f"- data: {data}"]
    lines += [f"- seed: {recipe.training.seed}", "", "| epoch | loss | seconds | dev |", "| --- | --- | --- | --- |"]
    lines += [f"| {e.number} | {e.loss:.4f} | {e.seconds:.0f} | {_named(e.scores)} |" for e in history]
    if test is not None:
        lines += ["", f"Test, once, with the weights of the best dev epoch: {_named(test)}."]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _named(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
