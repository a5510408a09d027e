"""The only reader of images and masks; ``writing`` is the only writer.

Each format has one decoder: libjpeg-turbo for JPEG, by simplejpeg, which tells what libjpeg only
warns of; tifffile and imagecodecs for TIFF; imagecodecs for WebP, GIF and JPEG 2000; OpenCV for PNG
and BMP; zarr for OME-Zarr. Everything comes back as 8 bits, RGB or gray, turned as viewers turn it.
What cannot be read whole is refused, never predicted.
"""

from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import ImageError
from tiledseg.images.bit_depth import depth_of, to_8_bits
from tiledseg.images.content import IMAGE_SUFFIXES, fault
from tiledseg.images.headers import Header
from tiledseg.images.limits import require_fit
from tiledseg.images.ome_zarr import is_store
from tiledseg.images.pixel_size import PixelSize
from tiledseg.images.unused import is_file
from tiledseg.images.whole import WholeImage, open_whole

_BYTE = 8


def list_images(folder: Path) -> list[Path]:
    """Images directly in a folder, sorted by name; hidden files and others are left out.

    Raises:
        ImageError: The folder does not exist or cannot be listed.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise fault(
            folder, f"cannot be listed ({error.strerror})", "give a folder that holds images"
        ) from None
    return [path for path in entries if is_image(path)]


def is_image(path: Path) -> bool:
    """Whether a path is named as an image that is read, and is not hidden; it is not opened."""
    if path.name.startswith("."):
        return False
    return (path.suffix.lower() in IMAGE_SUFFIXES and is_file(path)) or is_store(path)


@dataclass(frozen=True)
class DecodedPicture:
    """A picture in 8 bits, and what of its own range it uses.

    Attributes:
        pixels: Gray (H, W) or RGB (H, W, 3), uint8.
        bits: Bits of a value as stored, or ``image.bit_depth`` where it is set.
        largest: Largest value as stored.
    """

    pixels: NDArray[np.uint8]
    bits: int
    largest: int

    def as_rgb(self) -> NDArray[np.uint8]:
        """The pixels in color, (H, W, 3)."""
        if self.pixels.ndim == 3:
            return self.pixels
        return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_GRAY2RGB), np.uint8)


def read_picture(path: Path, bit_depth: int | None = None) -> DecodedPicture:
    """Read an image, and say what of its range it uses.

    Args:
        path: The file.
        bit_depth: ``image.bit_depth``: bits that 16-bit files make use of; None: all that the
            file declares.

    Raises:
        ImageError: As for ``read_image``.
    """
    with open_whole(path) as image:
        header = image.header
        bits = depth_of(header.dtype, _stored_bits(header), bit_depth)
        _require_channels(path, header.channels)
        _require_type(path, header, bits)
        pixels = drop_alpha(path, image.decode())
    largest = int(pixels.max(initial=0))
    return DecodedPicture(to_8_bits(path, pixels, bits), bits, largest)


def read_image(
    path: Path, channels: Literal[1, 3] = 3, *, bit_depth: int | None = None
) -> NDArray[np.uint8]:
    """Read an image of any format: of a TIFF the largest picture, of OME-Zarr the finest level.

    A TIFF is known by its content, since scanners write it under suffixes of their own.

    Values are scaled so that the largest of the file's bits becomes 255, alpha is dropped, and
    gray is converted to color or color to gray (ITU-R BT.601 luma) as ``channels`` asks.

    Args:
        path: The file.
        channels: 3 for RGB, 1 for gray.
        bit_depth: See ``read_picture``.

    Returns:
        (H, W, channels), uint8.

    Raises:
        ImageError: The file is missing, truncated, damaged, too large, or of another kind.
    """
    picture = read_picture(path, bit_depth)
    if channels == 3:
        return picture.as_rgb()
    color = picture.pixels.ndim == 3
    gray = cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2GRAY) if color else picture.pixels
    return np.asarray(gray)[..., np.newaxis]


def read_mask(path: Path, threshold: int = 127) -> NDArray[np.bool_]:
    """Read a binary mask.

    Args:
        path: The file.
        threshold: On the 8-bit scale; a pixel is foreground where the brightest of its first
            three channels is above it.

    Returns:
        (H, W), bool.

    Raises:
        ImageError: As for ``read_image``.
    """
    return np.asarray(read_mask_brightness(path) > threshold)


def read_mask_brightness(path: Path) -> NDArray[np.uint8]:
    """Read the brightest of the first three channels of a mask, before any threshold.

    A TIFF with an object on each of its pages counts with all of them.

    Returns:
        (H, W), uint8.

    Raises:
        ImageError: As for ``read_image``.
    """
    with open_whole(path) as image:
        bits = _stored_bits(image.header)
        _require_type(path, image.header, bits)
        stored = _decode_pages(path, image)
    pages = (drop_alpha(path, to_8_bits(path, page, bits)) for page in stored)
    flat = (page if page.ndim == 2 else reduce(np.maximum, cv2.split(page)) for page in pages)
    return np.asarray(reduce(np.maximum, flat))


def read_pages(path: Path) -> list[NDArray[Any]]:
    """Read all pages of a mask, as ``read_as_stored`` reads the one of other files.

    Raises:
        ImageError: As for ``read_as_stored``.
    """
    with open_whole(path) as image:
        return _decode_pages(path, image)


def read_as_stored(path: Path) -> NDArray[Any]:
    """Read a file's own values, for masks whose values are labels or colors.

    Returns:
        (H, W) or (H, W, C), channels as RGB(A); the file's own dtype. A palette's indices are
        replaced by their colors.

    Raises:
        ImageError: The file is missing, truncated, damaged, too large, or of another kind.
    """
    with open_whole(path) as image:
        return image.decode()


def read_pixel_size(path: Path) -> PixelSize | None:
    """Size of a pixel by a TIFF's metadata; None of other formats, or where it does not say.

    Raises:
        ImageError: As for ``read_header``.
    """
    with open_whole(path) as image:
        return image.pixel_size


def read_indices(path: Path) -> NDArray[Any]:
    """Read the indices of a PNG, GIF or TIFF with a palette, not the colors they stand for.

    Returns:
        (H, W), integers.

    Raises:
        ImageError: As for ``read_as_stored``, or the file's kind has no palettes.
    """
    with open_whole(path) as image:
        return image.decode_indices()


def read_header(path: Path) -> Header:
    """Read what a file holds: kind, size, channels, bits, palette, pages; nothing is decoded.

    Raises:
        ImageError: The file is missing, truncated, too large, or of another kind.
    """
    with open_whole(path) as image:
        return image.header


def image_shape(path: Path) -> tuple[int, int]:
    """Height and width, in pixels, from the file's header; nothing is decoded.

    Raises:
        ImageError: As for ``read_header``.
    """
    return read_header(path).shape


def drop_alpha(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    """Drop the alpha channel, if there is one: gray (H, W) or RGB (H, W, 3).

    Args:
        path: Where they come from, for the message.
        pixels: (H, W) or (H, W, 1 to 4).

    Raises:
        ImageError: There are more channels.
    """
    if pixels.ndim == 2:
        return pixels
    samples = pixels.shape[2]
    _require_channels(path, samples)
    return np.ascontiguousarray(pixels[..., 0] if samples < 3 else pixels[..., :3])


def _decode_pages(path: Path, image: WholeImage) -> list[NDArray[Any]]:
    header = image.header
    require_fit(header, header.pages if header.kind == "tiff" else 1)
    pages = image.decode_pages()
    if header.kind == "tiff" and len(pages) < header.pages:
        raise ImageError(
            f"{path}: has {header.pages} pages that differ in size or kind; save those that "
            "belong together alike, or as a file each"
        )
    return pages


def _stored_bits(header: Header) -> int:
    """Bits of a value as decoded: PNG of fewer than 8 bits is stretched by its decoder."""
    return max(_BYTE, header.bits) if header.kind == "png" else header.bits


def _require_type(path: Path, header: Header, bits: int) -> None:
    """Refuse values that have no place in 8 bits before they are decoded."""
    to_8_bits(path, np.zeros(0, header.dtype.newbyteorder("=")), bits)


def _require_channels(path: Path, channels: int) -> None:
    if channels > 4:
        raise fault(path, f"holds {channels} channels", "save it as gray or RGB")
