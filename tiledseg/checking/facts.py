"""What is measured on one image and its mask."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.config.experiment import Experiment
from tiledseg.data.pairing import Sample
from tiledseg.errors import DatasetError
from tiledseg.images.hashing import hash_content
from tiledseg.images.headers import Header
from tiledseg.images.label_files import is_lossy, read_label_values
from tiledseg.images.reading import read_header, read_picture
from tiledseg.masks.classes import count_values
from tiledseg.masks.drawing import GREEN

THUMBNAIL_SIDE = 32
"""Side of the gray thumbnail by which images are compared, in pixels."""
PREVIEW_SIDE = 200
"""Longest side of the picture shown in a report, in pixels."""
SPECK = 9
"""An object of fewer pixels is a speck: JPEG leaves such islands, and a slip of the pen does."""
_EDGE = 8
"""Pixels around an edge that JPEG's ringing reaches: the side of its blocks."""
_DARK, _NEAR = 32, 32


@dataclass(frozen=True)
class MaskFacts:
    """What a mask holds.

    Attributes:
        kind: Kind of its file, for example ``png``.
        brightest: Largest value on the 8-bit scale.
        foreground: Fraction of the pixels that is foreground.
        dim: Pixels that are neither black nor foreground, away from all edges, over the
            foreground's pixels: objects that the threshold loses.
        uneven: Foreground pixels that differ from its commonest value, away from all edges,
            over the foreground's pixels: several classes, or gray levels.
        between: All pixels between black and the commonest value, over the foreground's pixels.
        sides: Longer side of the box of each object but specks, in pixels, (objects,), int64.
        specks: Objects of fewer than 9 pixels.
        pages: Pages of its file, which are read as one.
        alpha: Whether its file has an alpha channel, which is not read.
        values: How many pixels hold each number as stored, or each index of a palette; empty of
            colors, and where the format changes values.
    """

    kind: str
    brightest: int
    foreground: float
    dim: float
    uneven: float
    between: float
    sides: NDArray[np.int64]
    specks: int
    pages: int = 1
    alpha: bool = False
    values: Mapping[int, int] = field(default_factory=dict)

    @property
    def median_side(self) -> float:
        """Median of ``sides``, in pixels; 0 without objects."""
        return float(np.median(self.sides)) if len(self.sides) else 0.0


@dataclass(frozen=True)
class ImageFacts:
    """What an image and its mask hold.

    Attributes:
        split: ``train``, ``valid`` or ``test``.
        stem: Name shared by both files, without suffix.
        image: The image file.
        masks: The mask files; more than one where each holds one object.
        shape: Height and width, in pixels.
        header: How the image is stored.
        digest: Hash of the image file's bytes.
        mask_digest: Hash of the mask files' bytes.
        bits: Bits of a value, or ``image.bit_depth`` where it is set.
        largest: Largest value as stored.
        brightness: Mean of the gray image, 0 to 255.
        contrast: Standard deviation of the gray image, 0 to 127.5.
        thumbnail: (32, 32), float32, the gray image reduced.
        preview: JPEG bytes of the image reduced to 200 pixels, with the outlines of its mask.
        mask: What the mask holds.
    """

    split: str
    stem: str
    image: Path
    masks: tuple[Path, ...]
    shape: tuple[int, int]
    header: Header
    digest: str
    mask_digest: str
    bits: int
    largest: int
    brightness: float
    contrast: float
    thumbnail: NDArray[np.float32]
    preview: bytes
    mask: MaskFacts


def measure_image(
    split: str,
    sample: Sample,
    header: Header,
    brightness: NDArray[np.uint8],
    settings: Experiment,
) -> ImageFacts:
    """Measure an image and its mask, which have the same size.

    Args:
        split: Name of the split.
        sample: The image and its masks.
        header: The image's.
        brightness: (H, W), uint8: the mask on the 8-bit scale.
        settings: How images and masks are read.

    Raises:
        ImageError: A file cannot be read.
    """
    masks, threshold = sample.mask_files, settings.dataset.mask_threshold
    mask_header = read_header(masks[0])
    picture = read_picture(sample.image, settings.image.bit_depth)
    pixels = picture.as_rgb()
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    mean, deviation = cv2.meanStdDev(gray)
    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return ImageFacts(
        split=split,
        stem=sample.stem,
        image=sample.image,
        masks=masks,
        shape=(pixels.shape[0], pixels.shape[1]),
        header=header,
        digest=hash_content(sample.image),
        mask_digest="".join(hash_content(mask) for mask in masks),
        bits=picture.bits,
        largest=picture.largest,
        brightness=float(mean[0][0]),
        contrast=float(deviation[0][0]),
        thumbnail=cv2.resize(gray, side, interpolation=cv2.INTER_AREA).astype(np.float32),
        preview=_preview(pixels, brightness > threshold),
        mask=replace(
            measure_mask(brightness, threshold, mask_header.kind),
            pages=mask_header.pages,
            alpha=mask_header.alpha,
            values=_count_stored(masks[0], mask_header) if len(masks) == 1 else {},
        ),
    )


def measure_mask(brightness: NDArray[np.uint8], threshold: int, kind: str) -> MaskFacts:
    """Measure a mask.

    Args:
        brightness: (H, W), uint8.
        threshold: Foreground is brighter than this.
        kind: Kind of its file.
    """
    histogram = count_values(brightness)
    foreground = (brightness > threshold).astype(np.uint8)
    count = max(1, int(histogram[threshold + 1 :].sum()))
    common = threshold + 1 + int(histogram[threshold + 1 :].argmax())
    inside = _away_from_edges(foreground)
    dim = (brightness > _DARK) & (foreground == 0) & inside
    uneven = (
        (cv2.absdiff(brightness, np.full_like(brightness, common)) > _NEAR)
        & (foreground > 0)
        & inside
    )
    sides, specks = _object_sides(foreground)
    return MaskFacts(
        kind=kind,
        brightest=int(np.flatnonzero(histogram)[-1]),
        foreground=float(histogram[threshold + 1 :].sum() / brightness.size),
        dim=float(np.count_nonzero(dim) / count),
        uneven=float(np.count_nonzero(uneven) / count),
        between=float(histogram[_DARK + 1 : max(_DARK + 1, common - _NEAR)].sum() / count),
        sides=sides,
        specks=specks,
    )


def _count_stored(mask: Path, header: Header) -> Mapping[int, int]:
    """How many pixels hold each number; empty of colors, of pages, and where values change."""
    if is_lossy(mask) or header.pages > 1:
        return {}
    try:
        values = read_label_values(mask)
    except DatasetError:
        return {}
    if values.dtype.itemsize <= 2 and values.dtype.kind in "ub":
        counts = np.bincount(values.reshape(-1).astype(np.uint16, copy=False))
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _away_from_edges(foreground: NDArray[np.uint8]) -> NDArray[np.bool_]:
    kernel = np.ones((2 * _EDGE + 1, 2 * _EDGE + 1), np.uint8)
    grown, shrunk = cv2.dilate(foreground, kernel), cv2.erode(foreground, kernel)
    return np.asarray(grown == shrunk)


def _object_sides(foreground: NDArray[np.uint8]) -> tuple[NDArray[np.int64], int]:
    _, _, boxes, _ = cv2.connectedComponentsWithStats(foreground, connectivity=8)
    boxes = np.asarray(boxes)[1:]
    large = boxes[:, cv2.CC_STAT_AREA] >= SPECK
    sides = boxes[large][:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1, initial=0)
    return sides.astype(np.int64), int(np.count_nonzero(~large))


def _preview(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> bytes:
    factor = min(1.0, PREVIEW_SIDE / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    small = np.array(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    # Area averages keep a small object visible, where nearest neighbor would drop it.
    marked = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 64
    outlines, _ = cv2.findContours(marked.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(small, outlines, -1, GREEN, 1)
    _, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, 80)
    )
    return bytes(encoded.tobytes())
