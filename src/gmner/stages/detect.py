"""Detect: candidate regions of a picture from a detector of transformers, whatever it takes them for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Float

from gmner.data.candidates import Regions
from gmner.errors import ImageError
from gmner.geometry import box_iou, clip_box
from gmner.image import Picture, open_image
from gmner.nn.crops import clip_features, crop
from gmner.nn.encoders import from_pretrained
from gmner.types import Box, Candidate, Example

ANYTHING: Final = "object. person. thing."
"""What a detector is asked for that finds what a text names."""

Kind = Literal["closed", "open"]
"""A detector of fixed classes such as RT-DETR, or one that is told what to find such as Grounding DINO."""


@dataclass(frozen=True)
class TransformersDetector:
    """A detector's boxes, the surest first; the score is that of the best class or word, and classes are forgotten.

    Detectors with a sigmoid for each class are meant (RT-DETR, Deformable and Grounding DINO).

    Args:
        model: of AutoModelForObjectDetection or AutoModelForZeroShotObjectDetection, in evaluation mode.
        processor: its image processor, or for an open one its processor of pictures and text.
        kind: which of the two it is.
        most: candidates at most.
        overlap: of two boxes that overlap more, the surer is kept.
    """

    model: Any
    processor: Any
    kind: Kind = "closed"
    most: int = 20
    overlap: float = 0.7

    @classmethod
    def load(cls, name: str, kind: Kind = "closed", most: int = 20) -> "TransformersDetector":
        """The detector `name`: a folder, or a hub name in the local cache.

        Raises:
            CheckpointError: it is not there, or its files are damaged.
        """
        import transformers

        if kind == "open":
            model = from_pretrained(transformers.AutoModelForZeroShotObjectDetection, name)
            return cls(model.eval(), from_pretrained(transformers.AutoProcessor, name, backend="pil"), kind, most)
        model = from_pretrained(transformers.AutoModelForObjectDetection, name)
        return cls(model.eval(), from_pretrained(transformers.AutoImageProcessor, name, backend="pil"), kind, most)

    def __call__(self, picture: Picture) -> list[Candidate]:
        """The candidates of a picture, in its pixels."""
        texts = {"text": ANYTHING} if self.kind == "open" else {}
        inputs = self.processor(images=picture, return_tensors="pt", **texts).to(self.model.device)
        with torch.inference_mode():
            outputs = self.model(**inputs)
        scores = outputs.logits[0].float().sigmoid().amax(-1).cpu()
        centre, size = outputs.pred_boxes[0].float().cpu().split(2, -1)
        corners = torch.cat([centre - size / 2, centre + size / 2], -1)
        height, width = picture.shape[:2]
        corners = corners * torch.tensor([width, height, width, height])
        kept: list[Candidate] = []
        for index in scores.argsort(descending=True, stable=True).tolist():
            box = clip_box(Box(*corners[index].tolist()), width, height)
            if box is None or box_iou([box], [other.box for other in kept]).max(initial=0) > self.overlap:
                continue
            kept.append(Candidate(box, "object", float(scores[index])))
            if len(kept) == self.most:
                break
        return kept


@dataclass(frozen=True)
class CLIPFeatures:
    """CLIP's vector of each region of a picture."""

    vision: Any

    @classmethod
    def load(cls, name: str) -> "CLIPFeatures":
        """The vision encoder of the CLIP `name`.

        Raises:
            CheckpointError: it is not there, or its files are damaged.
        """
        from transformers import CLIPVisionModel

        return cls(from_pretrained(CLIPVisionModel, name).eval())

    def __call__(self, picture: Picture, boxes: list[Box]) -> Float[np.ndarray, "boxes width"]:
        side = self.vision.config.image_size
        return clip_features(self.vision, [crop(picture, box, side) for box in boxes])


def detect(picture: Picture, detector: TransformersDetector, features: CLIPFeatures | None = None) -> Regions:
    """The regions of a picture as candidate files hold them."""
    found = detector(picture)
    boxes = [candidate.box for candidate in found]
    return Regions(
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array([candidate.score for candidate in found], dtype=np.float64),
        None if features is None else features(picture, boxes),
    )


def detect_all(
    examples: Iterable[Example], detector: TransformersDetector, features: CLIPFeatures | None = None
) -> Iterator[tuple[Example, Regions | ImageError]]:
    """Every post that has a picture with the regions in it, or what is wrong with the picture."""
    for example in examples:
        if example.image is None:
            continue
        try:
            yield example, detect(open_image(example.image), detector, features)
        except ImageError as error:
            yield example, error
