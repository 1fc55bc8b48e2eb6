"""What the released UMT sees of a picture: a random piece of it."""

import random

import numpy as np

from gmner.image import Picture
from gmner.nn.imagenet import SIDE, View


def random_piece(picture: Picture, seed: str) -> View:
    """A piece of a picture of at least 224 x 224 pixels, not resized, mirrored in one case of two.

    The same `seed` gives the same piece. Released code draws once for every post from one stream of random numbers, so
    that its piece depends on the posts before.
    """
    draw = random.Random(seed)
    top, left = (draw.randint(0, length - SIDE) for length in picture.shape[:2])
    piece = picture[top : top + SIDE, left : left + SIDE]
    return np.ascontiguousarray(piece[:, ::-1] if draw.random() < 0.5 else piece)
