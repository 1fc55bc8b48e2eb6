"""A SAM with random weights, small enough to run hundreds of times, as a folder in transformers' own form."""

from pathlib import Path

import torch

SIDE = 64
"""Pixels of the square that it sees."""


def write_tiny_sam(folder: Path) -> Path:
    from transformers import SamConfig, SamModel, SamProcessor
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    square = {"image_size": SIDE, "patch_size": 8}
    vision = {"hidden_size": 32, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = SamConfig(
        vision_config=square
        | vision
        | {"window_size": 4, "global_attn_indexes": [1], "mlp_dim": 64, "num_pos_feats": 8},
        prompt_encoder_config=square | {"hidden_size": 16, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
    )
    model = SamModel(config)
    torch.manual_seed(2)
    with torch.no_grad():  # as it is made, a random SAM answers every box alike
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.3)
            elif name.endswith("bias"):
                weight.normal_(0, 0.1)
    model.save_pretrained(folder)
    padded = {"height": SIDE, "width": SIDE}
    SamProcessor(SamImageProcessorPil(size={"longest_edge": SIDE}, pad_size=padded)).save_pretrained(folder)
    return folder
