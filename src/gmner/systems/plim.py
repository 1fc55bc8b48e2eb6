"""PLIM: named entities with a language model as a knowledge base, each as a referring expression (RiVEG's stage 1).

caption -> description -> knowledge -> recognise -> expand. Nothing is grounded; whatever grounds goes on from the
expressions. Each step leaves alone what a post has already, so that recorded captions and knowledge can be given with
the posts. docs/plim.md says how to run it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gmner.config import from_dict
from gmner.data.pools import read_pool
from gmner.errors import ConfigError
from gmner.expression import Form
from gmner.llm import LLMSettings, provider
from gmner.prompts import read_prompt
from gmner.stages.caption import Captioner, CaptionStage, ImageTextModel, LLMCaptioner
from gmner.stages.expand import Expander
from gmner.stages.features import StoredFeatures, TextFeatures, UMTFeatures
from gmner.stages.knowledge import LLMKnowledge, RecordedKnowledge
from gmner.stages.recognise import TaggerRecogniser
from gmner.stages.similar import ExampleSelector, FixedExamples, SimilarExamples
from gmner.stages.stage import Stage
from gmner.systems.cascade import Cascade


@dataclass(frozen=True)
class ExampleSettings:
    """Which annotated posts the language model is shown.

    Args:
        pool: a JSONL file of annotated posts (`gmner data pool`); without one, none are shown.
        choice: `similar` ones (MSEA), or the same `random` ones for every post.
        count: how many, N in the paper.
        umt: the folder of a trained UMT, whose features decide what is similar; without one, the text alone does.
        features: the file in which features are kept.
        seed: of the random choice.
    """

    pool: Path | None = None
    choice: Literal["similar", "random"] = "similar"
    count: int = 5
    umt: Path | None = None
    features: Path = Path("runs/features.safetensors")
    seed: int = 42


@dataclass(frozen=True)
class CaptionSettings:
    """What puts pictures into words.

    Args:
        model: an image-text-to-text model of transformers, a folder or a hub name in the local cache; without one the
            language model `llm` is asked.
        llm: a vision model behind an endpoint.
        prompt: what `model` is asked; a plain captioner such as BLIP-2 is asked nothing.
        max_tokens: the longest text of `model`.
        cache: the file in which the texts of `model` are kept.
    """

    model: str | None = None
    llm: LLMSettings | None = None
    prompt: str = ""
    max_tokens: int = 50
    cache: Path = Path("runs/captions.sqlite")


@dataclass(frozen=True)
class PlimSettings:
    """Stage 1 of RiVEG.

    Args:
        tagger: the folder of a trained tagger. Whether it reads knowledge is in its settings: one that does not is
            the paper's "w/o Auxiliary Knowledge", and the knowledge stage is left out.
        llm: the language model; without one, tagger and expressions do without and the predictions say so.
        knowledge: knowledge files that PLIM published, to take instead of asking.
        examples: which annotated posts the language model is shown.
        caption: what captions pictures in one line; without it, posts have the captions that they come with.
        description: the same for detailed descriptions.
        expression: how a referring expression is written.
    """

    tagger: Path
    llm: LLMSettings | None = None
    knowledge: tuple[Path, ...] = ()
    examples: ExampleSettings = ExampleSettings()
    caption: CaptionSettings | None = None
    description: CaptionSettings | None = None
    expression: Form = "paper"


def load(**settings: Any) -> Cascade:
    """The system, from the settings of `PlimSettings` as a TOML file has them: paths as text, tables as dicts.

    Raises:
        CheckpointError: the tagger or another model is missing or damaged.
        ConfigError: a setting is wrong.
        DataError: the pool, or a file of knowledge or answers, is missing or damaged.
    """
    return build(from_dict(PlimSettings, settings))


def build(settings: PlimSettings) -> Cascade:
    """The system; raises as `load` does."""
    return Cascade("plim", stages(settings))


def stages(settings: PlimSettings, gold: Stage | None = None) -> tuple[Stage, ...]:
    """The stages in order, for a cascade that goes on from them; raises as `load` does.

    `gold` is a stage that is told the entities: then no tagger is loaded, and no knowledge asked for.
    """
    recogniser = gold or TaggerRecogniser.load(settings.tagger)
    model = None if settings.llm is None else provider(settings.llm)
    found: list[Stage] = []
    if settings.caption is not None:
        found.append(CaptionStage(_captioner(settings.caption, "caption"), "caption"))
    if settings.description is not None:
        found.append(CaptionStage(_captioner(settings.description, "description"), "description"))
    if isinstance(recogniser, TaggerRecogniser) and recogniser.codec.config.knowledge:
        if settings.knowledge:
            found.append(RecordedKnowledge.load(settings.knowledge))
        else:
            found.append(LLMKnowledge(model, _selector(settings.examples)))
    return (*found, recogniser, Expander(model, settings.expression))


def _selector(settings: ExampleSettings) -> ExampleSelector:
    if settings.pool is None:
        return FixedExamples((), 0)
    pool = read_pool(settings.pool)
    if settings.choice == "random":
        return FixedExamples.random(pool, settings.count, settings.seed)
    source = TextFeatures.load() if settings.umt is None else UMTFeatures.load(settings.umt)
    return SimilarExamples.of(pool, StoredFeatures(source, settings.features), settings.count)


def _captioner(settings: CaptionSettings, kind: Literal["caption", "description"]) -> Captioner:
    if (settings.model is None) == (settings.llm is None):
        raise ConfigError(
            "a captioner with both a model and an llm" if settings.model else "a captioner with neither model nor llm",
            allowed="pictures are put into words by a model of transformers or by one behind an endpoint",
            todo="give one of them",
        )
    if settings.llm is not None:
        return LLMCaptioner(provider(settings.llm), read_prompt(kind))
    return ImageTextModel.load(str(settings.model), settings.cache, settings.prompt, settings.max_tokens)
