"""Bits of a sample: how values of any depth become the 8 bits that networks are shown."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import ImageError

_BYTE = 8
DIM_FRACTION = 1 / 4
"""A picture whose largest value is below this fraction of its range has bits to spare."""


def scale_to_8_bits(pixels: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Scale values so that the largest number of ``bits`` bits becomes 255, rounded.

    Args:
        pixels: Any shape; uint8, uint16 or bool.
        bits: Of a value, 1 to 16.

    Raises:
        ValueError: A value needs more bits, or the type is another; the message follows the
            file's name.
    """
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"holds {pixels.dtype} pixels; save it with 8 or 16 bits per channel")
    if bits == _BYTE and pixels.dtype == np.uint8:
        return pixels
    largest = 2**bits - 1
    if bits < 8 * pixels.dtype.itemsize:
        found = int(pixels.max(initial=0))
        if found > largest:
            raise ValueError(
                f"holds the value {found}, and {bits} bits end at {largest}; raise "
                f"image.bit_depth to {found.bit_length()} or more"
            )
    return np.asarray(_scale(largest)[pixels])


def depth_of(dtype: np.dtype[Any], bits: int, bit_depth: int | None) -> int:
    """Bits to scale by: those of the file, or ``image.bit_depth`` where values have 16."""
    return bit_depth if bit_depth is not None and dtype == np.uint16 else bits


def to_8_bits(path: Path, pixels: NDArray[Any], bits: int | None = None) -> NDArray[np.uint8]:
    """Scale values to 8 bits; see ``scale_to_8_bits``.

    Args:
        path: Where they come from, for the message.
        pixels: Any shape; uint8, uint16 or bool.
        bits: Of a value; None: those of the type.

    Raises:
        ImageError: They are of another type, or a value needs more bits.
    """
    try:
        return scale_to_8_bits(pixels, bits or 8 * pixels.dtype.itemsize)
    except ValueError as error:
        raise ImageError(f"{path}: {error}") from None


def unstretch(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Undo the stretching to 255 that OpenCV applies to PNG files of 1, 2 or 4 bits."""
    return pixels if bits >= _BYTE else pixels // (255 // (2**bits - 1))


@cache
def _scale(largest: int) -> NDArray[np.uint8]:
    """What each value becomes, (largest + 1,)."""
    return ((np.arange(largest + 1, dtype=np.uint32) * 255 + largest // 2) // largest).astype(
        np.uint8
    )


def unused_bits_fault(largest: int, bits: int) -> str | None:
    """What to say of a picture that uses a fraction of its range; None where it uses it.

    Args:
        largest: Its largest value as stored.
        bits: Of a value.

    Returns:
        Words that follow the file's name.
    """
    range_ = 2**bits - 1
    if bits <= 1 or largest >= DIM_FRACTION * range_:
        return None
    return (
        f"has {bits} bits, but uses the lowest of them: its largest value is {largest} of {range_}"
    )


def bits_remedy(largest: int, bits: int) -> str:
    """What to do about a picture that uses a fraction of its range; see ``unused_bits_fault``."""
    if bits <= _BYTE:
        return "nothing, if it is meant to be so dark; else stretch the values of all images alike"
    # Of cameras: 8, 10, 12 or 14.
    depth = max(_BYTE, (largest.bit_length() + 1) // 2 * 2)
    return (
        f"set image.bit_depth to that of the camera ({depth}?), or stretch the values of all "
        "images alike"
    )
