"""The caption stage with tiny random models of transformers, and with a language model that is a fake."""

import json
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gmner.errors import CheckpointError, DataError, GmnerError, LLMError
from gmner.image import Picture, fingerprint
from gmner.llm import Answer, LLMSettings, Replay, Request, export_answers
from gmner.llm.cache import AnswerCache
from gmner.llm.request import asked
from gmner.prompts import read_prompt
from gmner.stages.caption import LARGEST_SIDE, CaptionStage, ImageTextModel, LLMCaptioner
from gmner.types import Example, Prediction

transformers = pytest.importorskip("transformers")
import torch  # noqa: E402

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "[MASK]", "<image>", "a", "dog", "cat", "on", "user", ":", "say"]
IMAGE = WORDS.index("<image>")
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} : {% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}:"
)


def picture(seed: int, height: int = 40, width: int = 50) -> Picture:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def tokenizer() -> Any:
    made = transformers.BertTokenizer(
        vocab={word: index for index, word in enumerate(WORDS)},
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="[MASK]",
        bos_token="<s>",
        eos_token="</s>",
    )
    made.add_special_tokens({"additional_special_tokens": ["<image>"]})
    return made


def save(model: Any, folder: Path) -> None:
    """Save a model whose random weights let the picture matter, and which says words only."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.5, generator=generator)
    model.generation_config.suppress_tokens = list(range(WORDS.index("a")))
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def blip2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BLIP-2 with random weights, saved as a user would have it."""
    from transformers import Blip2Config, Blip2QFormerConfig, Blip2VisionConfig, OPTConfig
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = Blip2VisionConfig(**size, intermediate_size=16, image_size=28, patch_size=14)
    bridge = Blip2QFormerConfig(**size, intermediate_size=16, vocab_size=10, encoder_hidden_size=16,
                                cross_attention_frequency=1)  # fmt: skip
    text = OPTConfig(**size, vocab_size=len(WORDS), ffn_dim=16, max_position_embeddings=64, word_embed_proj_dim=16,
                     pad_token_id=0, bos_token_id=1, eos_token_id=2)  # fmt: skip
    config = Blip2Config(vision_config=vision, qformer_config=bridge, text_config=text, num_query_tokens=4,
                         image_token_index=IMAGE)  # fmt: skip
    model = transformers.Blip2ForConditionalGeneration(config)
    folder = tmp_path_factory.mktemp("blip2")
    save(model, folder)
    images = BlipImageProcessorPil(size={"height": 28, "width": 28})
    transformers.Blip2Processor(images, tokenizer(), num_query_tokens=4).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LLaVA, a model that chats."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    size = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    vision = CLIPVisionConfig(**size, num_hidden_layers=2, image_size=28, patch_size=14)
    text = LlamaConfig(**size, num_hidden_layers=1, vocab_size=len(WORDS), max_position_embeddings=64, pad_token_id=0,
                       bos_token_id=1, eos_token_id=2)  # fmt: skip
    model = transformers.LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=vision, text_config=text, image_token_index=IMAGE, image_seq_length=4, vision_feature_layer=-1
        )
    )
    folder = tmp_path_factory.mktemp("llava")
    save(model, folder)
    sides = {"height": 28, "width": 28}
    LlavaProcessor(
        CLIPImageProcessorPil(size=sides, crop_size=sides), tokenizer(), patch_size=14, image_token="<image>",
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    return folder


class Recorded:
    """A captioner that counts and remembers what it was shown."""

    def __init__(self, error: GmnerError | None = None) -> None:
        self.shown: list[Picture] = []
        self.error = error

    def __call__(self, pictures: Sequence[Picture]) -> list[str | GmnerError]:
        self.shown += pictures
        return [self.error or f"mean {picture.mean():.0f}" for picture in pictures]


def draft(name: str, **fields: Any) -> Prediction:
    return Prediction(example=Example(id=name, text="some text", **fields))


def test_the_stage_fills_what_is_missing_and_captions_a_shared_picture_once() -> None:
    captioner, shared, other = Recorded(), picture(1), picture(2)
    drafts = [draft("a"), draft("b"), draft("c", caption="known"), draft("d"), draft("e")]
    filled = CaptionStage(captioner)(drafts, [shared, shared, other, None, other])
    assert [post.example.caption for post in filled] == [
        f"mean {shared.mean():.0f}",
        f"mean {shared.mean():.0f}",
        "known",
        None,
        f"mean {other.mean():.0f}",
    ]
    assert len(captioner.shown) == 2
    assert all(post.example.description is None and not post.notes for post in filled)
    assert CaptionStage(captioner)([], []) == []


def test_descriptions_go_to_their_own_field() -> None:
    [filled] = CaptionStage(Recorded(), "description")([draft("a", caption="one line")], [picture(1)])
    assert filled.example.description is not None
    assert filled.example.caption == "one line"
    assert CaptionStage(Recorded(), "description").name == "description"


def test_a_picture_without_words_leaves_a_note_on_its_posts() -> None:
    error = LLMError("the model is silent", allowed="it speaks", todo="ask again")
    [filled] = CaptionStage(Recorded(error))([draft("a")], [picture(1)])
    assert filled.example.caption is None
    assert filled.notes == ("no caption: the model is silent; it speaks; ask again.",)


@pytest.mark.parametrize("name", ["blip2", "llava"])
def test_a_model_writes_and_its_words_are_kept_by_the_pixels(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = request.getfixturevalue(name), tmp_path / "kept" / "captions.sqlite"
    model = ImageTextModel.load(str(folder), cache, prompt="say a dog", max_tokens=6)
    pictures = [picture(seed, 30 + seed, 50) for seed in range(3)]
    texts = model(pictures)
    assert len(set(texts)) > 1
    assert all(isinstance(text, str) and 1 <= len(text.split()) <= 6 for text in texts)  # and not the prompt as well
    assert model([pictures[2]]) == [texts[2]]

    monkeypatch.setattr(ImageTextModel, "_say", lambda self, picture: pytest.fail("asked again"))
    copies = [picture.copy() for picture in pictures]
    assert model(copies) == texts
    exported = tmp_path / "captions.jsonl"
    assert export_answers(cache, exported) == 3
    rows = [json.loads(line) for line in exported.read_text().splitlines()]
    assert {row["pixels"][0] for row in rows} == {fingerprint(picture) for picture in pictures}


def test_greedy_decoding_is_what_the_model_itself_does(blip2: Path, tmp_path: Path) -> None:
    shown = picture(7)
    model = ImageTextModel.load(str(blip2), tmp_path / "c.sqlite", max_tokens=5)
    inputs = model.processor(images=Image.fromarray(shown), text="", return_tensors="pt")
    output = model.model.generate(**inputs, do_sample=False, max_new_tokens=5)[0]
    expected = model.processor.decode(output[inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert model([shown]) == [" ".join(expected.split())]


def test_other_pixels_prompt_or_length_are_other_questions(blip2: Path, tmp_path: Path) -> None:
    cache = tmp_path / "c.sqlite"
    model = ImageTextModel.load(str(blip2), cache, max_tokens=4)
    model([picture(1), picture(2)])
    replace(model, prompt="a cat")([picture(1)])
    replace(model, max_tokens=5)([picture(1)])
    with AnswerCache(cache) as answers:
        assert len(list(answers)) == 4


def test_silence_is_an_error_and_is_not_kept(blip2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ImageTextModel.load(str(blip2), tmp_path / "c.sqlite")
    with monkeypatch.context() as patch:
        patch.setattr(ImageTextModel, "_say", lambda self, picture: "")
        [text] = model([picture(1)])
    assert isinstance(text, LLMError)
    assert isinstance(model([picture(1)])[0], str)


def test_words_are_kept_one_by_one(blip2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ImageTextModel.load(str(blip2), tmp_path / "c.sqlite")
    say, said = ImageTextModel._say, []

    def killed_at_the_third(self: ImageTextModel, shown: Picture) -> str:
        if len(said) == 2:
            raise KeyboardInterrupt
        said.append(shown)
        return say(self, shown)

    monkeypatch.setattr(ImageTextModel, "_say", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        model([picture(1), picture(2), picture(3)])
    with AnswerCache(tmp_path / "c.sqlite") as answers:
        assert len(list(answers)) == 2


def test_a_model_that_is_not_there_or_no_model_of_this_kind(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="'no/such-model' can not be loaded"):
        ImageTextModel.load("no/such-model", tmp_path / "c.sqlite")
    tokenizer().save_pretrained(tmp_path / "text")
    transformers.BertModel(
        transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=len(WORDS))
    ).save_pretrained(tmp_path / "text")
    with pytest.raises(CheckpointError):
        ImageTextModel.load(str(tmp_path / "text"), tmp_path / "c.sqlite")


def test_a_cache_that_is_none(blip2: Path, tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_text("this is not SQLite, it is a text of some length " * 40)
    with pytest.raises(DataError, match=r"c\.sqlite"):
        ImageTextModel.load(str(blip2), tmp_path / "c.sqlite")([picture(1)])


class Eyes:
    """A vision model behind the client, faked: it tells the size of what it was sent."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def ask(self, requests: Sequence[Request], progress: Any = None) -> list[Answer | GmnerError]:
        self.requests += requests
        sizes = [Image.open(BytesIO(request.images[0])).size for request in requests]
        return [Answer(f" {width} by {height}\n", "eyes") for width, height in sizes]

    def unanswered(self, requests: Sequence[Request]) -> list[Request]:
        return []


def test_a_vision_model_is_sent_the_picture_and_not_more_of_it_than_it_needs() -> None:
    eyes = Eyes()
    captioner = LLMCaptioner(eyes, read_prompt("description"))
    assert captioner([picture(1, 40, 50), picture(2, 30, LARGEST_SIDE * 2)]) == ["50 by 40", f"{LARGEST_SIDE} by 15"]
    assert eyes.requests[0].prompt == read_prompt("description").request({}).prompt
    assert eyes.requests[0].images[0].startswith(b"\xff\xd8\xff")


def test_recorded_descriptions_are_found_by_the_picture(tmp_path: Path) -> None:
    settings = LLMSettings(model="eyes", replay=tmp_path / "answers.jsonl")
    eyes = Eyes()
    LLMCaptioner(eyes, read_prompt("description"))([picture(1)])
    row = {**asked(eyes.requests[0], settings), "answer": {"text": "a carpet", "model": "eyes"}}
    (tmp_path / "answers.jsonl").write_text(json.dumps(row) + "\n")
    replayed = LLMCaptioner(Replay(settings, tmp_path / "answers.jsonl"), read_prompt("description"))
    filled = CaptionStage(replayed, "description")([draft("a"), draft("b")], [picture(1), picture(2)])
    assert filled[0].example.description == "a carpet"
    assert filled[1].example.description is None
    assert "has no answer" in filled[1].notes[0]
