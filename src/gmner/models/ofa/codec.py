"""Pictures and expressions to OFA's tensors, and its tokens to probabilities and boxes (specs/ofa.md, 2, 3, 7, 8).

Prompts, clean-up and bins are as published: the weights know no others. `Released` lists what is not.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from gmner.errors import CheckpointError, TextError
from gmner.geometry import clip_box
from gmner.image import Picture
from gmner.models.ofa.config import BOS, EOS, PAD, UNKNOWN, OFAConfig
from gmner.models.ofa.vocabulary import Vocabulary
from gmner.nn.beam import Beam, Hypothesis, Trie
from gmner.types import Box

View = UInt8[np.ndarray, "side side 3"]
"""A picture as the trunk sees it: resized to a square, whatever its shape."""

ANSWERS: Final = (" no", " yes", " maybe")
NO: Final = 0
"""Contradiction; "maybe" counts as visible, as "yes" does (specs/riveg.md, section 3)."""

WORDS: Final = 80
"""Where the released code cuts a text."""

ENTAILS: Final = ' can image and text1 " {text} " imply text2 " {caption} "?'
DESCRIBES: Final = ' does the image describe " {text} "?'
WHERE: Final = ' which region does the text " {text} " describe?'
"""The questions: of entailment with and without a caption, and of grounding."""

COORDINATES: Final = 4


@dataclass(frozen=True)
class OFACodec:
    """Between pictures, texts, boxes and an OFA's tensors.

    Raises:
        CheckpointError: the vocabulary is of another size than the settings say.
    """

    config: OFAConfig
    vocabulary: Vocabulary

    def __post_init__(self) -> None:
        if self.vocabulary.size != self.config.bpe_symbols:
            raise CheckpointError(
                f"a vocabulary of {self.vocabulary.size:,} symbols",
                allowed=f"the settings say {self.config.bpe_symbols:,}",
                todo="give the vocabulary that the model was trained with",
            )

    # Pictures

    def view(self, picture: Picture) -> View:
        """A picture resized to the square of the settings, without regard to its proportions."""
        image = Image.fromarray(picture)
        if self.config.released.recompressed:
            file = io.BytesIO()
            image.save(file, "JPEG")
            image = Image.open(file)
        side = self.config.image_size
        return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))

    def pixels(self, views: Sequence[View]) -> Float[Tensor, "pictures 3 side side"]:
        """Views as the trunk takes them: channels first, from -1 to 1."""
        scaled = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
        return (scaled - 0.5) / 0.5

    # Texts

    def entailment_sources(self, expressions: Sequence[str], captions: Sequence[str | None]) -> list[list[int]]:
        """The question whether a picture shows what an expression names, with its caption's help if there is one.

        Raises:
            TextError: a question has more tokens than there are positions.
        """
        return self._sources(
            DESCRIBES.format(text=self.clean(text))
            if caption is None
            else ENTAILS.format(text=self.clean(text), caption=self.clean(self._caption(caption)))
            for text, caption in zip(expressions, captions, strict=True)
        )

    def grounding_sources(self, expressions: Sequence[str]) -> list[list[int]]:
        """The question where a picture shows what an expression names.

        Raises:
            TextError: a question has more tokens than there are positions.
        """
        return self._sources(WHERE.format(text=self.clean(text)) for text in expressions)

    def clean(self, text: str) -> str:
        """A text as the published models know texts, see `clean`."""
        released = self.config.released
        if released.quoted and '"' in text:
            doubled = text.replace('"', '""')
            text = f'"{doubled}"'
        return clean(text, WORDS if released.cut else None)

    def _caption(self, caption: str) -> str:
        return caption.partition(":")[0] if self.config.released.colon else caption

    def _sources(self, prompts: Iterable[str]) -> list[list[int]]:
        prompts = list(prompts)
        sources = [[BOS, *tokens, EOS] for tokens in self.vocabulary.encode(prompts)]
        for prompt, source in zip(prompts, sources, strict=True):
            if len(source) > self.config.positions:
                raise TextError(
                    f"the question {prompt[:60]!r} ... has {len(source):,} tokens",
                    allowed=f"OFA reads at most {self.config.positions:,}",
                    todo="shorten the expression or the caption",
                )
        return sources

    # Answers

    def prompt(self, source: Sequence[int]) -> list[int]:
        """What the decoder has said before it answers a question of entailment: the question."""
        return list(source[:-1])

    @cached_property
    def answers(self) -> Trie:
        """The answers to a question of entailment, in the order of `ANSWERS`."""
        return Trie(self.vocabulary.encode(ANSWERS), EOS)

    def visible(self, scores: Float[Tensor, "samples answers"]) -> list[float]:
        """P(visible) from the answers' log-probabilities."""
        odds = scores.double().exp()
        if self.config.released.best_answer:
            best = odds[:, NO + 1 :].amax(1)
            return (best / (best + odds[:, NO])).tolist()
        return (odds[:, NO + 1 :].sum(1) / odds.sum(1)).tolist()

    def answered(self, prompt: Sequence[int], answer: Sequence[int]) -> tuple[list[int], list[int]]:
        """What the decoder is given in training, and what it is to say after each token; padding where nothing."""
        return [*prompt, *answer], [*[PAD] * (len(prompt) - 1), *answer, EOS]

    # Boxes

    def bins(self, box: Box, width: float, height: float) -> list[int]:
        """The four tokens of a box in a picture of `width` x `height` pixels: its corners in steps of the square."""
        if not self.config.released.unclipped:
            box = clip_box(box, width, height) or box
        side = np.float32(self.config.image_size)
        places = np.rint(
            np.array(box, np.float32) * self.ratios(width, height) / side * np.float32(self.config.bins - 1)
        )
        return [self.config.first_bin + int(place) if 0 <= place < self.config.bins else UNKNOWN for place in places]

    def corners(self, tokens: Sequence[int], width: int, height: int) -> Box:
        """The box that four tokens say, which is none if they are no bins or in a wrong order."""
        ratios = self.ratios(width, height)
        if self.config.released.half_ratios:
            ratios = ratios.astype(np.float16).astype(np.float32)
        places = np.array(tokens, np.float32) - np.float32(self.config.first_bin)
        pixels = places / np.float32(self.config.bins - 1) * np.float32(self.config.image_size) / ratios
        return Box(*pixels.tolist())

    def box(self, found: Sequence[Hypothesis], width: int, height: int) -> Box:
        """The box of the best hypothesis, clipped to the picture.

        With `Released.any_token` a hypothesis may be no box: then the next best, and the whole picture if none is one.
        """
        for hypothesis in found:
            box = clip_box(self.corners(hypothesis.tokens[:COORDINATES], width, height), width, height)
            if box is not None:
                return box
        return Box(0.0, 0.0, float(width), float(height))

    @property
    def beam(self) -> Beam:
        """The search for a box: four tokens."""
        repeat = 3 if self.config.released.any_token else 0
        return Beam(size=5, shortest=COORDINATES, longest=COORDINATES, no_repeat=repeat)

    @cached_property
    def box_tokens(self) -> list[int]:
        """All that `only_boxes` allows: the end and the bins."""
        return [EOS, *range(self.config.first_bin, self.config.vocabulary)]

    def only_boxes(self, rows: Int64[Tensor, "samples rows time"]) -> Bool[Tensor, "samples rows vocabulary"]:
        """Which tokens may follow, so that four of them make a box: bins, the second corner beyond the first."""
        place = torch.arange(self.config.vocabulary, device=rows.device) - self.config.first_bin
        written = rows.shape[2] - 1
        if written == COORDINATES:
            return (torch.arange(self.config.vocabulary, device=rows.device) == EOS).expand(*rows.shape[:2], -1)
        if written < COORDINATES // 2:
            return ((place >= 0) & (place < self.config.bins - 1)).expand(*rows.shape[:2], -1)
        return place > rows[..., -2, None] - self.config.first_bin

    def ratios(self, width: float, height: float) -> Float[np.ndarray, "4"]:
        """What x and y of a picture are multiplied by in the square, twice."""
        side = self.config.image_size
        return np.array([side / width, side / height] * 2, dtype=np.float32)


def clean(text: str, words: int | None = None) -> str:
    """A text as OFA's data is cleaned, cut after so many words if they are given.

    Marks are stripped at the left end only, and a blank in front protects them.

    >>> clean("#Hashtag first! Mother-in-law")
    'hashtag first! mother in law'
    """
    text = text.lower().lstrip(",.!?*#:;~").replace("-", " ").replace("/", " ").replace("<person>", "person")
    text = re.sub(r"\s{2,}", " ", text).rstrip("\n").strip(" ")
    return " ".join(text.split(" ")[:words])


def questions(texts: Iterable[str]) -> Iterator[str]:
    """What a vocabulary of one's own is learned from: the texts in questions, and as often the answers."""
    for text in texts:
        yield from (form.format(text=clean(text), caption="") for form in (ENTAILS, DESCRIBES, WHERE))
        yield from ANSWERS
