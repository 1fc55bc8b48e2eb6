"""The picture of a scene: the backdrop, the painted items one over the other, then light, softness and noise."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from gmner.data.drawn.chance import generator
from gmner.data.drawn.scene import Light, Scene
from gmner.data.drawn.scenery import BACKDROPS, PROPS, paint_backdrop
from gmner.data.drawn.view import Layer
from gmner.image import Picture


def render(scene: Scene, layers: Sequence[Layer]) -> Picture:
    """The picture of a scene whose items are painted."""
    picture = paint_backdrop(BACKDROPS[scene.backdrop], generator(*scene.seed, 1), scene.size)
    for item, layer in zip(scene.items, layers, strict=True):
        opacity = 255 if item.look is not None else PROPS[item.kind].opacity
        picture[layer.area] = layer.inside.over(picture[layer.area], opacity)
    return _lit(picture, scene.light, scene.seed)


_PEAKED: Final = (np.arange(256) // 16 + np.arange(256) % 16 - 15).astype(np.int16)
"""A random byte as noise from -15 to 15, small values more often: the sum of its two halves."""


def _lit(picture: Picture, light: Light, seed: tuple[int, ...]) -> Picture:
    """The picture under its light, with noise. Whole numbers only."""
    height, width = picture.shape[:2]
    if light.soft:
        picture = np.asarray(Image.fromarray(picture).filter(ImageFilter.BoxBlur(1)))
    across = np.arange(width, dtype=np.int32) * 256 // width - 128
    down = np.arange(height, dtype=np.int32)[:, None] * 256 // height - 128
    fall = 256 + across * light.tilt // 128 - light.vignette * (across * across + down * down) // (2 * 128 * 128)
    # In 128ths: a sample times its factor stays below 65,536.
    factor = (fall[..., None] * np.array(light.gain, dtype=np.int32) >> 9).astype(np.uint16)
    lit = (picture * factor >> 7).astype(np.int16)
    if light.noise:
        grain = generator(*seed, 2).integers(256, size=(height, width, 1), dtype=np.uint8)
        lit += ((_PEAKED * light.noise) >> 3)[grain]
    return np.asarray(lit.clip(0, 255), dtype=np.uint8)
