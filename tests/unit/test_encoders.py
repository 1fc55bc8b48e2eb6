"""Encoders that can not be loaded are one error."""

from pathlib import Path

import pytest
from transformers import BertConfig, BertModel

from gmner.errors import CheckpointError
from gmner.nn.encoders import load_encoder

TINY = {"vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4}


@pytest.mark.parametrize("size", [0, 4, 300])
def test_weights_that_are_cut_off(tmp_path: Path, size: int) -> None:
    BertModel(BertConfig(**TINY)).save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="check the folder's files"):
        load_encoder(str(tmp_path))


def test_an_encoder_that_is_nowhere() -> None:
    with pytest.raises(CheckpointError, match="fetch it first"):
        load_encoder("nobody/has-this-encoder")
