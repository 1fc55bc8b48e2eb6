"""OFA's text and picture cases against a fixture: tokens, questions, boxes as bins, pixels, learning rates."""

import base64
import os
import zipfile
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import torch

from gmner.errors import CheckpointError
from gmner.geometry import box_iou
from gmner.image import open_image
from gmner.models.ofa.codec import OFACodec, clean
from gmner.models.ofa.config import BOS, EOS, SIZES, Released
from gmner.models.ofa.vocabulary import read_vocabulary
from gmner.training.loop import linear_schedule
from gmner.types import Box
from gmner.verify.fixture import EXACT, Comparison, Fixture, Tolerance, compare, same

FORMAT: Final = "ofa_text_v1"
FOLDER: Final = "GMNER_OFA_VOCABULARY"
"""The environment variable that says where OFA's three vocabulary files are."""

PIXELS: Final = Tolerance(1e-5)
MOMENTS: Final = Tolerance(2e-4)
RATES: Final = Tolerance(rel=1e-9)


def checks(fixture: Fixture) -> list[Comparison]:
    """Every case, under its number.

    Learning rates are compared from the end of the warm-up on: the first update of ours moves, that of the released
    code has a rate of 0, and so all of the warm-up is one update behind.
    """
    vocabulary = read_vocabulary(_folder(fixture))
    entail = OFACodec(SIZES["large"], vocabulary)
    ground = OFACodec(SIZES["large"].at(512), vocabulary)
    halves = OFACodec(SIZES["large"].at(512, Released(half_ratios=True)), vocabulary)
    return [
        *_vocabulary(entail, fixture.facts["vocabulary"]),
        *(
            same(f"tokenise/{number}", vocabulary.encode([case["text"]])[0], case["ids"])
            for number, case in enumerate(fixture.facts["tokenise"])
        ),
        *(
            same(f"pre_caption/{number}", clean(case["raw"], case["max_words"]), case["cleaned"])
            for number, case in enumerate(fixture.facts["pre_caption"])
        ),
        *(c for number, case in enumerate(fixture.facts["ve"]) for c in _entailment(f"ve/{number}", entail, case)),
        *(
            c
            for number, case in enumerate(fixture.facts["vg"])
            for c in _grounding(f"vg/{number}", ground, halves, case)
        ),
        *(c for number, case in enumerate(fixture.facts["iou"]) for c in _overlap(f"iou/{number}", ground, case)),
        *(
            c
            for number, case in enumerate(fixture.facts["images"])
            for codec, kind in ((entail, "ve_480"), (ground, "vg_512"))
            for c in _picture(f"images/{number}/{kind}", codec, case["png_base64"], case[kind])
        ),
        *(c for number, case in enumerate(fixture.facts["lr"]) for c in _rates(f"lr/{number}", case)),
    ]


def _folder(fixture: Fixture) -> Traversable:
    """Where the vocabulary is: where the environment says, or in the archive that fixtures are handed out with."""
    if FOLDER in os.environ:
        return Path(os.environ[FOLDER])
    archive = fixture.path.resolve().parents[2] / "data" / "ofa_vocab.zip"
    if not archive.is_file():
        raise CheckpointError(
            f"{fixture.path} is checked with OFA's vocabulary, and there is no {archive}",
            allowed=f"the vocabulary is there, or in the folder that {FOLDER} names",
            todo=f"set {FOLDER} to a folder with dict.txt, encoder.json and vocab.bpe",
        )
    return zipfile.Path(archive) / "ofa_vocab"


def _equal(name: str, ours: Any, expected: Any) -> Comparison:
    """Numbers that are the same in float32."""
    return compare(name, torch.tensor(ours), torch.tensor(expected), EXACT)


def _vocabulary(codec: OFACodec, case: dict[str, Any]) -> list[Comparison]:
    config = codec.config
    layout = {
        "size": config.vocabulary,
        "bos": BOS,
        "eos": EOS,
        "mask": config.first_code - 1,
        "code_0": config.first_code,
        "code_8191": config.first_code + config.codes - 1,
        "bin_0": config.first_bin,
        "bin_999": config.first_bin + config.bins - 1,
    }
    answers = dict(zip(("no", "yes", "maybe"), codec.answers.answers, strict=True))
    return [same(f"vocabulary/{name}", ours, case[name]) for name, ours in layout.items()] + [
        same(f"vocabulary/{name}", list(ours), case["answers"][name]) for name, ours in answers.items()
    ]


def _entailment(name: str, codec: OFACodec, case: dict[str, Any]) -> list[Comparison]:
    """`caption` of a case is the expression and `hypothesis` the picture's caption; alone, it is the expression."""
    text, caption = (case["caption"], case["hypothesis"]) if case["add_caption"] else (case["hypothesis"], None)
    [source] = codec.entailment_sources([text], [caption])
    prompts = {"prev_output": codec.prompt(source), "src": source, "none": [BOS]}
    prompt = prompts[case["prompt_type"]]
    answer = codec.answers.answers[{"contradiction": 0, "entailment": 1, "neutral": 2}[case["label"]]]
    written, target = codec.answered(prompt, answer)
    allowed = {str(len(prompt) - 1 + place): codec.answers.successors(answer[:place]) for place in range(2)}
    compared = [
        same(f"{name}/cleaned_hypothesis", codec.clean(case["hypothesis"]), case["cleaned_hypothesis"]),
        same(f"{name}/source", source, case["source"]),
        same(f"{name}/decoder_prompt", prompt, case["decoder_prompt"]),
        same(f"{name}/prev_output_tokens", written, case["prev_output_tokens"]),
        same(f"{name}/target", target, case["target"]),
    ]
    if "cleaned_caption" in case:
        compared.append(same(f"{name}/cleaned_caption", codec.clean(case["caption"]), case["cleaned_caption"]))
    for place, tokens in case["constraint_allowed"].items():
        compared.append(same(f"{name}/constraint_allowed/{place}", allowed.get(place, []), sorted(tokens)))
    return compared


def _grounding(name: str, codec: OFACodec, halves: OFACodec, case: dict[str, Any]) -> list[Comparison]:
    size = case["width"], case["height"]
    box = Box(*map(float, case["box"].split(",")))
    tokens = codec.bins(box, *size)
    view = codec.pixels([codec.view(torch.zeros(size[1], size[0], 3, dtype=torch.uint8).numpy())])
    return [
        same(f"{name}/source", codec.grounding_sources([case["text"]])[0], case["source"]),
        same(f"{name}/target", [*tokens, EOS], case["target"]),
        same(f"{name}/prev_output_tokens", [BOS, *tokens], case["prev_output_tokens"]),
        same(f"{name}/patch_shape", list(view.shape[1:]), case["patch_shape"]),
        _equal(f"{name}/w_resize_ratio", codec.ratios(*size)[0], case["w_resize_ratio"]),
        _equal(f"{name}/h_resize_ratio", codec.ratios(*size)[1], case["h_resize_ratio"]),
        _equal(f"{name}/score_iou_ge_0.5", _right(codec.corners(tokens, *size), box), case["score_iou_ge_0.5"]),
        _equal(f"{name}/decoded_box_fp32", codec.corners(tokens, *size), case["decoded_box_fp32"]),
        _equal(f"{name}/decoded_box_fp16_flag", halves.corners(tokens, *size), case["decoded_box_fp16_flag"]),
    ]


def _overlap(name: str, codec: OFACodec, case: dict[str, Any]) -> list[Comparison]:
    box = codec.corners([codec.config.first_bin + place for place in case["bins"]], case["width"], case["height"])
    right = _right(box, Box(*case["reference_box"]))
    return [_equal(f"{name}/box", box, case["box"]), _equal(f"{name}/score", right, case["score"])]


def _right(box: Box, gold: Box) -> float:
    return float(box_iou([box], [gold])[0, 0] >= 0.5)


def _picture(name: str, codec: OFACodec, png: str, case: dict[str, Any]) -> list[Comparison]:
    [pixels] = codec.pixels([codec.view(open_image(base64.b64decode(png)))])
    probes = torch.stack([pixels[:, probe["y"], probe["x"]] for probe in case["probes"]])
    return [
        same(f"{name}/shape", list(pixels.shape), case["shape"]),
        compare(f"{name}/channel_mean", pixels.mean((1, 2)), torch.tensor(case["channel_mean"]), MOMENTS),
        compare(f"{name}/channel_std", pixels.std((1, 2)), torch.tensor(case["channel_std"]), MOMENTS),
        compare(f"{name}/probes", probes, torch.tensor([probe["rgb"] for probe in case["probes"]]), PIXELS),
    ]


def _rates(name: str, case: dict[str, Any]) -> list[Comparison]:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=case["peak_lr"])
    schedule = linear_schedule(optimiser, case["total_updates"], case["warmup_ratio"])
    later = [value for value in case["values"] if value["num_updates"] >= case["warmup_updates"]]
    ours = [case["peak_lr"] * schedule.lr_lambdas[0](value["num_updates"]) for value in later]
    expected = [value["lr"] for value in later]
    return [compare(f"{name}/after_warmup", torch.tensor(ours), torch.tensor(expected), RATES)]
