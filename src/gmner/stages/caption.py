"""Caption: a picture in words, in one line (`caption`) or in detail (`description`).

The one-line caption goes into the knowledge prompt, the description into that of entity expansion (specs/riveg.md,
sections 1 and 2). Posts that have one already keep it, and posts without a picture get none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal, Self

import torch
from PIL import Image

from gmner.errors import CheckpointError, GmnerError, LLMError
from gmner.image import Picture, fingerprint
from gmner.llm import Answer, Progress, Provider
from gmner.llm.cache import AnswerCache, Record
from gmner.llm.request import fingerprint as key_of
from gmner.nn.encoders import from_pretrained
from gmner.prompts import Prompt
from gmner.stages.stage import Stage, with_note
from gmner.types import Prediction

Captioner = Callable[[Sequence[Picture]], list[str | GmnerError]]
"""Whatever puts pictures into words: a text for each, never blank, or the reason why there is none."""

LARGEST_SIDE: Final = 2048
"""Larger pictures are scaled down before they are sent to a language model, in pixels."""

_JPEG_QUALITY: Final = 90


@dataclass(frozen=True)
class CaptionStage(Stage):
    """Fills `field` of every post with a picture. A picture that several posts share is captioned once.

    A picture that could not be captioned leaves a note with its reason.
    """

    captioner: Captioner
    field: Literal["caption", "description"] = "caption"

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.field

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        wanted = [
            picture if getattr(draft.example, self.field) is None else None
            for draft, picture in zip(drafts, pictures, strict=True)
        ]
        distinct = {id(picture): picture for picture in wanted if picture is not None}
        texts = dict(zip(distinct, self.captioner(list(distinct.values())), strict=True)) if distinct else {}
        return [
            draft if picture is None else self._filled(draft, texts[id(picture)])
            for draft, picture in zip(drafts, wanted, strict=True)
        ]

    def _filled(self, draft: Prediction, text: str | GmnerError) -> Prediction:
        if isinstance(text, GmnerError):
            return with_note(draft, f"no {self.field}: {text}")
        changes: dict[str, Any] = {self.field: text}
        return replace(draft, example=replace(draft.example, **changes))


@dataclass(frozen=True)
class ImageTextModel:
    """A captioner: any image-text-to-text model of transformers, such as BLIP-2 or LLaVA. Decoding is greedy.

    A model that chats is asked the `prompt`; another one, like BLIP-2, continues it, and with no prompt says what the
    picture shows. Models that need torchvision to read pictures (Qwen-VL) can be put behind a server: see
    `LLMCaptioner`. Texts are kept in the file `cache` by the picture's pixels, model, prompt and length.
    """

    model: Any
    processor: Any
    name: str
    cache: Path
    prompt: str = ""
    max_tokens: int = 50

    @classmethod
    def load(cls, name: str, cache: Path, prompt: str = "", max_tokens: int = 50) -> Self:
        """A model in a folder or in the hub's local cache, in bf16 on a GPU if there is one, else in fp32.

        Raises:
            CheckpointError: there is no such model, or it can not be loaded here.
        """
        from transformers import AutoModelForImageTextToText, AutoProcessor

        on_gpu = torch.cuda.is_available()
        # The "pil" backend: the other one needs torchvision, which breaks beside a torch that was built for the CPU.
        try:
            processor = from_pretrained(AutoProcessor, name, backend="pil")
        except ImportError as error:
            raise CheckpointError(
                f"the processor of {name} can not be loaded ({' '.join(str(error).split())[:150]})",
                allowed="models are run that read pictures without torchvision",
                todo="choose another, or put it behind a server and ask it as a language model",
            ) from None
        model = from_pretrained(AutoModelForImageTextToText, name, dtype=torch.bfloat16 if on_gpu else torch.float32)
        return cls(model.eval().to("cuda" if on_gpu else "cpu"), processor, name, cache, prompt, max_tokens)

    def __call__(self, pictures: Sequence[Picture]) -> list[str | GmnerError]:
        """The text of each picture; each new one is kept before the next is begun.

        Raises:
            DataError: the cache can not be used.
        """
        questions = [self._question(picture) for picture in pictures]
        keys = [key_of(question) for question in questions]
        texts: dict[str, str | GmnerError] = {}
        with AnswerCache(self.cache) as cache:
            texts |= {key: answer.text for key, answer in cache.find(keys).items()}
            for key, question, picture in zip(keys, questions, pictures, strict=True):
                if key in texts:
                    continue
                text = self._say(picture)
                if text:
                    cache.add([Record(question, Answer(text, self.name))])
                texts[key] = text or LLMError(
                    f"{self.name} wrote nothing about this picture",
                    allowed="a caption has at least one word",
                    todo="try another prompt or model",
                )
        return [texts[key] for key in keys]

    def _question(self, picture: Picture) -> dict[str, Any]:
        """All that a text depends on, in the form of a question to a language model."""
        pixels = fingerprint(picture)
        return {"model": self.name, "prompt": self.prompt, "max_tokens": self.max_tokens, "pixels": [pixels]}

    @torch.inference_mode()
    def _say(self, picture: Picture) -> str:
        # One picture at a time: what is said of it must not depend on the others.
        inputs = self._inputs(Image.fromarray(picture)).to(self.model.device, self.model.dtype)
        [output] = self.model.generate(**inputs, do_sample=False, max_new_tokens=self.max_tokens)
        [given] = inputs["input_ids"]
        if len(output) >= len(given) and output[: len(given)].equal(given):
            output = output[len(given) :]  # decoders repeat the prompt, encoder-decoders do not
        return " ".join(self.processor.decode(output, skip_special_tokens=True).split())

    def _inputs(self, image: Image.Image) -> Any:
        if self.processor.chat_template is None:
            return self.processor(images=image, text=self.prompt, return_tensors="pt")
        content = [{"type": "image", "image": image}, {"type": "text", "text": self.prompt}]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )


@dataclass(frozen=True)
class LLMCaptioner:
    """A captioner: a vision model behind the client for language models, which keeps its answers itself.

    Pictures are sent as JPEG, large ones scaled down to `LARGEST_SIDE`.
    """

    provider: Provider
    prompt: Prompt
    progress: Callable[[Progress], None] | None = None

    def __call__(self, pictures: Sequence[Picture]) -> list[str | GmnerError]:
        """What the model says of each picture, or the error that it met."""
        requests = [self.prompt.request({}, images=(_jpeg(picture),)) for picture in pictures]
        answers = self.provider.ask(requests, self.progress)
        return [answer.text.strip() if isinstance(answer, Answer) else answer for answer in answers]


def _jpeg(picture: Picture) -> bytes:
    image = Image.fromarray(picture)
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BICUBIC)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()
