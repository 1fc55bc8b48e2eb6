"""ALBEF against a fixture: every state from the patches to the losses, positions, pictures, augmentation; or texts."""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from gmner.models.albef.augment import OPERATIONS
from gmner.models.albef.codec import ALBEFCodec, clean, squeeze
from gmner.models.albef.config import ALBEFConfig, TextSize, VisionSize
from gmner.models.albef.distillation import distilled_loss, follow, new_teacher
from gmner.models.albef.model import ALBEF, Texts
from gmner.models.albef.weights import from_published
from gmner.nn.crops import normalise
from gmner.nn.vit import resize_positions
from gmner.verify.fixture import EXACT, Comparison, Fixture, Tolerance, compare, same

OPENCV: Final = Tolerance(abs=2)
"""Levels by which versions of OpenCV differ in shears and turns."""


def checks(fixture: Fixture) -> list[Comparison]:
    """Every output. A file may hold those of the network, or those of pictures, or both; or cases of texts."""
    if "vocab" in fixture.facts:
        return list(_texts(fixture))
    expected = fixture.under("output/")
    ours = _picture_outputs(fixture)
    if not expected.keys() <= ours.keys():
        ours |= _network_outputs(network(fixture), fixture)
    return [
        compare(name, ours[name], tensor, _tolerance(name, fixture))
        for name, tensor in expected.items()
        if name in ours
    ]


def network(fixture: Fixture) -> ALBEF:
    """The network that the file describes, with its weights."""
    config = ALBEFConfig(
        vision=VisionSize(
            resolution=fixture.count("image_res"),
            patch=fixture.count("patch_size"),
            width=fixture.count("vit_embed_dim"),
            depth=fixture.count("vit_depth"),
            heads=fixture.count("vit_num_heads"),
        ),
        text=TextSize(
            vocabulary=fixture.count("vocab_size"),
            positions=fixture.count("max_position_embeddings"),
            width=fixture.count("hidden_size"),
            depth=fixture.count("num_hidden_layers"),
            heads=fixture.count("num_attention_heads"),
            inner=fixture.count("intermediate_size"),
            fusion_layer=fixture.count("fusion_layer"),
        ),
    )
    model = ALBEF(config)
    model.load_state_dict(from_published(fixture.under("weight/"), model.state_dict(), str(fixture.path)))
    return model.eval()


@torch.inference_mode()
def _network_outputs(model: ALBEF, fixture: Fixture) -> dict[str, Tensor]:
    """All that the network says, under the names of the fixture (its README says what each means)."""
    texts = Texts(fixture["input/input_ids"], fixture["input/attention_mask"].bool())
    pixels, targets = fixture["input/image"], fixture["input/targets"]
    owners = torch.arange(len(pixels))
    pictures = model.vision(pixels)
    text = model.text.read(texts)
    first = model.text.fusion_blocks[0]
    logits = model(texts, pixels, owners)
    teacher = new_teacher(model)
    for parameter in teacher.parameters():  # the teacher of the fixture (its README)
        parameter.mul_(0.8).add_(0.01)
    follow(teacher, model, fixture.number("momentum"))
    taught = teacher(texts, pixels, owners)
    return {
        "image_patch_embed": model.vision.embed(pixels),
        "image_embeds": pictures,
        "text_embeddings": model.text.embed(texts.pieces),
        "text_encoder": text,
        "fusion_first_layer": first.fuse(text, first.fusion.project(pictures), texts.present),
        "fusion": model.text.fuse(text, texts.present, pictures, owners),
        "logits": logits,
        "loss_ce": F.cross_entropy(logits, targets),
        "loss_distill": distilled_loss(logits, taught, targets, fixture.number("alpha")),
        "momentum_cls_weight_after_update": teacher.state_dict()["classifier.2.weight"],
        "momentum_logits_after_update": taught,
    }


def _texts(fixture: Fixture) -> Iterator[Comparison]:
    """Texts as they are cleaned, and a batch of them as sub-words."""
    import transformers

    for number, case in enumerate(fixture.facts["cases"]):
        yield same(f"cases/{number}", clean(case["caption"], case["max_words"], glue_brackets=True), case["out"])
    batch = fixture.facts["batch"]
    vocabulary = {piece: number for number, piece in enumerate(fixture.facts["vocab"])}
    config = ALBEFConfig(max_words=30, glue_brackets=True)
    codec = ALBEFCodec(config, transformers.BertTokenizer(vocab=vocabulary))
    texts = codec.batch(codec.encode(batch["captions"]))
    cleaned = [clean(text, config.max_words, glue_brackets=True) for text in batch["captions"]]
    yield same("batch/cleaned", cleaned, batch["cleaned"])
    yield same("batch/input_ids", texts.pieces.tolist(), batch["input_ids"])
    yield same("batch/attention_mask", texts.present.long().tolist(), batch["attention_mask"])


def _picture_outputs(fixture: Fixture) -> dict[str, Tensor]:
    """Resized positions, a picture as evaluation prepares it, and every augmentation of another, of what is there.

    The augmentations are those of the released code, whose 8-bit numbers wrap round.
    """
    side, given = fixture.count("image_res"), fixture.under("input/")
    outputs = {}
    if "pos_embed_checkpoint" in given:
        rows = 1 + (side // fixture.count("patch_size")) ** 2
        outputs["pos_embed_resized"] = resize_positions(given["pos_embed_checkpoint"], rows)
    if "prep_rgb_uint8" in given:
        outputs["prep_image"] = normalise(torch.from_numpy(squeeze(given["prep_rgb_uint8"].numpy(), side))[None])[0]
    if "aug_rgb_uint8" in given:
        for name, operation in OPERATIONS.items():
            for suffix, sign in (("", 1.0), ("_pos", 1.0), ("_neg", -1.0)):
                varied = operation(given["aug_rgb_uint8"].numpy(), sign, True)
                outputs[f"aug_{name}{suffix}"] = torch.from_numpy(varied.copy())
    return outputs


def _tolerance(output: str, fixture: Fixture) -> Tolerance:
    if not output.startswith("aug_"):
        return fixture.tolerance
    return OPENCV if output.startswith(("aug_Shear", "aug_Rotate")) else EXACT
