"""SeqTR against a fixture: pictures, every state, and for each mode targets, logits, loss, tokens, boxes and masks."""

from typing import Final

import numpy as np
import torch
from torch import Tensor

from gmner.geometry import decode_mask
from gmner.models.seqtr.codec import SeqTRCodec
from gmner.models.seqtr.config import CORNERS, Mode, SeqTRConfig
from gmner.models.seqtr.frame import View
from gmner.models.seqtr.model import Pairs, Scene, SeqTR
from gmner.models.seqtr.text import Vocabulary
from gmner.models.seqtr.weights import POSITIONS, TASKS, from_published
from gmner.types import Box
from gmner.verify import seqtr_cases
from gmner.verify.fixture import EXACT, Comparison, Fixture, Tolerance, compare

PREFIXES: Final[dict[Mode, str]] = {"boxes": "det", "masks": "seg", "both": "multi"}
EXACTLY: Final = ("tokens", "targets", "mask")
"""Outputs with one of these in their names hold whole numbers."""


def checks(fixture: Fixture) -> list[Comparison]:
    """Every output, and our pictures beside the given ones; or every case."""
    if "cases" in fixture.facts:
        return seqtr_cases.checks(fixture)
    ours = _outputs(fixture)
    pictures = compare("img_uint8_rgb_nchw", ours["img_uint8_rgb_nchw"], fixture["input/img_uint8_rgb_nchw"], EXACT)
    return [pictures] + [
        compare(name, ours[name], expected, _tolerance(fixture, name))
        for name, expected in fixture.under("output/").items()
        if name in ours
    ]


def _tolerance(fixture: Fixture, name: str) -> Tolerance:
    if any(word in name for word in EXACTLY):
        return EXACT
    stated = fixture.facts["tolerance"]
    absolute = stated.get("logits_abs") if name.endswith("logits") and isinstance(stated, dict) else None
    return fixture.tolerance if absolute is None else Tolerance(float(absolute))


def configuration(fixture: Fixture, mode: Mode) -> SeqTRConfig:
    """The settings that the file states, with the released faults."""
    return SeqTRConfig(
        mode=mode,
        points=fixture.count("num_ray"),
        bins=fixture.count("num_bin"),
        side=fixture.count("resize_long_edge"),
        max_words=fixture.count("max_token"),
        word_width=fixture.count("word_emb_dim"),
        channels=SeqTRConfig.channels // fixture.count("div"),
        width=fixture.count("d_model"),
        heads=fixture.count("nhead"),
        inner_width=fixture.count("ffn"),
        encoder_layers=fixture.count("n_enc"),
        decoder_layers=fixture.count("n_dec"),
        cut_expressions=True,
        inclusive_corners=True,
        two_points_as_box=True,
        stretched_masks=True,
    )


def network(fixture: Fixture, mode: Mode) -> SeqTR:
    """The network of a mode, with its weights. The file has one table of positions for all, and both tasks' starts."""
    config = configuration(fixture, mode)
    model = SeqTR(config, fixture.count("vocab_tokens"))
    theirs = fixture.under("weight/")
    theirs[POSITIONS] = theirs[POSITIONS][: config.length]
    if mode != "both":
        del theirs[TASKS]
    model.load_state_dict(from_published(theirs, model.state_dict()))
    return model.eval()


@torch.inference_mode()
def _outputs(fixture: Fixture) -> dict[str, Tensor]:
    """All that the networks say, under the names of the fixture (its README says what each means)."""
    outputs: dict[str, Tensor] = {}
    for mode, prefix in PREFIXES.items():
        model = network(fixture, mode)
        codec = SeqTRCodec(model.config, Vocabulary(()))
        views = [codec.view(picture) for picture in _pictures(fixture)]
        batch = codec.batch(views, [[""]] * len(views))
        pairs = batch._replace(words=fixture["input/ref_expr_inds"])
        outputs["img_uint8_rgb_nchw"] = pairs.pixels.byte()
        scene = _scene(model, pairs, outputs)
        targets = _targets(fixture, codec, views)
        logits = model.recite(scene, targets)
        outputs |= {f"{prefix}_targets": targets, f"{prefix}_logits": logits}
        outputs[f"{prefix}_loss"] = model.loss(logits, targets)
        outputs |= _written(codec, views, model.write(scene))
    return outputs


def _pictures(fixture: Fixture) -> list[np.ndarray]:
    """The pictures as this package opens them: RGB."""
    count = len(fixture["input/ori_shape"])
    return [np.ascontiguousarray(fixture[f"input/ori_bgr_{index}"].numpy()[..., ::-1]) for index in range(count)]


def _targets(fixture: Fixture, codec: SeqTRCodec, views: list[View]) -> Tensor:
    boxes = [Box(*corners) for corners in fixture["input/gt_bbox_img"].tolist()]
    outlines = fixture["input/gt_mask_vertices"].transpose(1, 2).numpy()
    rows = [codec.targets(item.frame, box, outline) for item, box, outline in zip(views, boxes, outlines, strict=True)]
    return _stack(rows)


def _scene(model: SeqTR, pairs: Pairs, outputs: dict[str, Tensor]) -> Scene:
    """What the decoder reads, and all states before it among the outputs."""
    maps = model.darknet(pairs.pixels)
    seen, language = model.fusion(maps), model.language(pairs.words)
    fused = seen.tanh() * language.tanh()[:, :, None, None]
    scene = model.relate(seen, pairs.sizes, pairs.words)
    outputs |= {
        "vis_stride8": maps.fine,
        "vis_stride16": maps.middle,
        "vis_stride32": maps.coarse,
        "lang": language[:, None],
        "fused": fused,
        "input_proj": model.narrow(fused),
        "x_mask": ~scene.present,
        "x_pos": scene.positions,
        "memory": scene.cells,
    }
    return scene


def _written(codec: SeqTRCodec, views: list[View], tokens: Tensor) -> dict[str, Tensor]:
    """What was written, and the boxes and masks that it means."""
    if codec.config.mode == "both":
        return {"multi_bbox_tokens": tokens[:, :CORNERS], "multi_mask_tokens": tokens[:, CORNERS + 1 :]}
    rows = [(item.frame, row.numpy()) for item, row in zip(views, tokens, strict=True)]
    if codec.config.mode == "boxes":
        rows = [(frame, row[:CORNERS]) for frame, row in rows]
        return {
            "det_tokens": tokens[:, :CORNERS],
            "det_boxes_padframe": _stack([codec.corners(*row) for row in rows]),
            "det_boxes_original": _stack([codec.original_corners(*row) for row in rows]),
        }
    canvases = {f"seg_mask_padframe_{n}": torch.from_numpy(codec.canvas(*row)) for n, row in enumerate(rows)}
    masks = {f"seg_mask_original_{n}": decode_mask(codec.mask(*row)) for n, row in enumerate(rows)}
    return {"seg_tokens": tokens} | canvases | {name: torch.from_numpy(mask) for name, mask in masks.items()}


def _stack(rows: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(rows))
