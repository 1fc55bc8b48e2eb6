"""Segment by SAM (Kirillov et al. 2023): a box as the prompt, the pixels of the main thing in it as the answer.

This is how RiVEG turns any GMNER system into an SMNER system (section IV-C, specs/riveg.md section 5): nothing is
trained, the published weights are ViT-H. The paper does not say whether the best of SAM's three masks is taken; SAM's
own advice for a box is the single mask, and that is the default.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gmner.errors import CheckpointError
from gmner.geometry import clip_box, encode_mask
from gmner.image import Picture
from gmner.nn.encoders import from_pretrained
from gmner.stages.stage import Stage
from gmner.types import Box, Entity, Mask, Prediction

PUBLISHED: Final = "facebook/sam-vit-huge"
"""The weights of the paper; `facebook/sam-vit-large` and `facebook/sam-vit-base` are smaller."""

_BOXES_AT_ONCE: Final = 64
"""More boxes than a post ever has; past that the decoder's memory would grow without end."""


@dataclass(frozen=True)
class Sam:
    """SAM with its processor: boxes of a picture in, masks out. `best_of_three` takes the mask that SAM rates best."""

    model: Any
    processor: Any
    name: str
    best_of_three: bool = False

    @classmethod
    def load(cls, name: str = PUBLISHED, *, best_of_three: bool = False) -> Self:
        """A SAM in a folder or in the hub's local cache, in fp32, on a GPU if there is one. Nothing is downloaded.

        Raises:
            CheckpointError: there is no such model, it is no SAM, or it lacks weights.
        """
        from transformers import AutoConfig, AutoProcessor, SamModel

        config = from_pretrained(AutoConfig, name)
        if config.model_type != "sam":
            raise CheckpointError(
                f"the model {name!r} is of kind {config.model_type}",
                allowed=f"masks come from a SAM (of the first version), such as {PUBLISHED}",
                todo="give the name or the folder of one",
            )
        model, report = from_pretrained(SamModel, name, output_loading_info=True)
        if lacking := sorted(report["missing_keys"]):
            raise CheckpointError(
                f"the model {name!r} lacks {len(lacking)} weights, such as {lacking[0]}",
                allowed="a model is loaded whole or not at all",
                todo="fetch it again",
            )
        # The "pil" backend: the other one needs torchvision.
        processor = from_pretrained(AutoProcessor, name, backend="pil")
        return cls(model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), processor, name, best_of_three)

    @torch.inference_mode()
    def masks(self, picture: Picture, boxes: Sequence[Box]) -> list[Mask]:
        """The mask of each box. The picture is encoded once, and all its boxes are decoded in one call.

        Boxes are clipped to the picture. A box that lies outside it has an empty mask, and so has one in which SAM
        finds nothing; a mask may reach out of its box.
        """
        height, width = picture.shape[:2]
        prompts = {place: box for place, whole in enumerate(boxes) if (box := clip_box(whole, width, height))}
        masks = [encode_mask(np.zeros((height, width), dtype=bool))] * len(boxes)
        for place, mask in zip(prompts, self._decode(picture, list(prompts.values())), strict=True):
            masks[place] = mask
        return masks

    def _decode(self, picture: Picture, boxes: Sequence[Box]) -> list[Mask]:
        if not boxes:
            return []
        # Left to guess, the processor takes a picture that is one or three pixels high for one with channels first.
        inputs = self.processor(
            picture,
            input_boxes=[[list(box) for box in boxes]],
            return_tensors="pt",
            input_data_format="channels_last",
        )
        device, dtype = self.model.device, self.model.dtype
        embeddings = self.model.get_image_embeddings(inputs["pixel_values"].to(device, dtype))
        masks: list[Mask] = []
        for prompts in inputs["input_boxes"].to(device, dtype).split(_BOXES_AT_ONCE, dim=1):
            output = self.model(image_embeddings=embeddings, input_boxes=prompts, multimask_output=self.best_of_three)
            best = output.iou_scores[0].argmax(dim=-1)
            # At the size of the picture one mask after another: floats of all would fill the memory.
            masks += [
                self._full_size(logits[choice], inputs)
                for logits, choice in zip(output.pred_masks[0], best, strict=True)
            ]
        return masks

    def _full_size(self, logits: Float[Tensor, "low low"], inputs: Any) -> Mask:
        """A mask of the padded square that SAM sees, as one of the picture."""
        [[[pixels]]] = self.processor.post_process_masks(
            logits[None, None, None].float().cpu(), inputs["original_sizes"], inputs["reshaped_input_sizes"]
        )
        return encode_mask(pixels.numpy())


@dataclass(frozen=True)
class SegmentBySam(Stage):
    """Fills `masks`, one for each box. Posts that share a picture share its encoding."""

    sam: Sam
    name: str = "segment"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        shown = {id(picture): picture for picture in pictures if picture is not None}
        asked: dict[int, dict[Box, None]] = {key: {} for key in shown}
        for draft, picture in zip(drafts, pictures, strict=True):
            if picture is not None:
                asked[id(picture)] |= dict.fromkeys(box for entity in draft.entities for box in entity.boxes)
        known = {
            key: dict(zip(boxes, self.sam.masks(shown[key], list(boxes)), strict=True)) for key, boxes in asked.items()
        }
        return [
            draft
            if picture is None
            else replace(draft, entities=tuple(self._filled(entity, known[id(picture)]) for entity in draft.entities))
            for draft, picture in zip(drafts, pictures, strict=True)
        ]

    def _filled(self, entity: Entity, known: dict[Box, Mask]) -> Entity:
        if not entity.boxes:
            return entity
        how = f"{self.sam.name}, from the box{', best of three' if self.sam.best_of_three else ''}"
        return replace(
            entity,
            masks=tuple(known[box] for box in entity.boxes),
            provenance={**entity.provenance, self.name: how},
        )
