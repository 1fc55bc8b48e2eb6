"""Label Studio's brush strokes: a picture of four channels as packed runs of bytes, the mask in its opacity.

The code is that of the JavaScript library `@thi.ng/rle-pack`, which Label Studio names as its source. All is bits,
the highest first: 32 for the number of words; 5 for the bits of a word, less one; 4 for each of four sizes of lengths,
less one; then chunks, each with 1 bit (whether one word is repeated), 2 bits (which size its length has), the length
less one, and the repeated word or all words. A word of Label Studio's is a byte; pixels stand row by row.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, UInt8

from gmner.errors import EntityError
from gmner.geometry import decode_mask, encode_mask
from gmner.types import Mask

_WORD: Final = 8
_SIZES: Final = (4, 8, 12, 16)
"""Bits of lengths, as they are written; any can be read."""
_OPAQUE: Final = 128
"""From this opacity on a pixel is part of the mask: the rim of a stroke fades."""


def encode_brush(mask: Mask) -> list[int]:
    """The bytes of a mask: all four channels 255 where it is, else 0.

    Raises:
        EntityError: the mask's code is damaged.
    """
    pixels = decode_mask(mask).ravel()
    edges = np.flatnonzero(np.diff(pixels.astype(np.int8))) + 1
    starts = [0, *edges.tolist()]
    bits = [f"{4 * pixels.size:032b}", f"{_WORD - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for start, end in zip(starts, [*edges.tolist(), pixels.size], strict=True):
        word = "1" * _WORD if pixels[start] else "0" * _WORD
        for length in _split(4 * (end - start)):
            size = next(place for place, bits_of in enumerate(_SIZES) if length <= 1 << bits_of)
            bits.append(f"1{size:02b}{length - 1:0{_SIZES[size]}b}{word}")
    whole = "".join(bits)
    whole += "0" * (-len(whole) % 8)
    return list(int(whole, 2).to_bytes(len(whole) // 8, "big"))


def decode_brush(code: Sequence[int], width: int, height: int) -> Mask:
    """The mask of a brush stroke, as bytes, in a picture of `width` x `height` pixels.

    Raises:
        EntityError: the bytes are damaged, or they are of a picture of another size.
    """
    words = _decode(code, 4 * width * height)
    return encode_mask(words.reshape(height, width, 4)[..., 3] >= _OPAQUE)


def _split(length: int) -> list[int]:
    """A length in pieces that the largest size can hold."""
    most = 1 << _SIZES[-1]
    return [most] * (length // most) + ([length % most] if length % most else [])


def _decode(code: Sequence[int], expected: int) -> UInt8[np.ndarray, " words"]:
    """The words of a code, which must be as many as `expected`."""
    reader = _Bits(np.unpackbits(np.array(code, dtype=np.uint8)))
    number, word_size = reader.number(32), reader.number(5) + 1
    if (number, word_size) != (expected, _WORD):
        raise _damaged(f"{number} words of {word_size} bits where {expected} of {_WORD} fill the picture")
    sizes = [reader.number(4) + 1 for _ in range(4)]
    words = np.empty(number, dtype=np.uint8)
    done = 0
    while done < number:
        repeated = reader.number(1)
        end = done + reader.number(sizes[reader.number(2)]) + 1
        if end > number:
            raise _damaged("more words than it says")
        words[done:end] = reader.words(1 if repeated else end - done)
        done = end
    return words


class _Bits:
    """Bits that are read from the first to the last."""

    def __init__(self, bits: UInt8[np.ndarray, " bits"]) -> None:
        self._bits, self._place = bits, 0

    def number(self, size: int) -> int:
        """The next `size` bits as a number."""
        value = 0
        for bit in self._take(size).tolist():
            value = 2 * value + bit
        return value

    def words(self, count: int) -> UInt8[np.ndarray, " words"]:
        """The next `count` words."""
        return np.packbits(self._take(count * _WORD))

    def _take(self, size: int) -> Bool[np.ndarray, " size"]:
        taken = self._bits[self._place : self._place + size]
        if len(taken) < size:
            raise _damaged("an early end")
        self._place += size
        return taken


def _damaged(what: str) -> EntityError:
    return EntityError(
        f"a brush stroke with {what}",
        allowed="brush strokes are in Label Studio's run-length code, of the size of their picture",
        todo="export the tasks again",
    )
