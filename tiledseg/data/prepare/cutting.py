"""One source image and its mask into the pieces that a spec asks for.

Stems keep the name of their source, in the form that drawing splits knows:

    SMEAR_r512_c0        tile at row 512, column 0
    SMEAR_512x0          crop of an object
    SMEAR                whole, reduced or not
    ..._a2               second changed copy
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.config import AugmentationSettings
from tiledseg.data.augmentation.augment import augment
from tiledseg.data.prepare.spec import PreparationSpec
from tiledseg.data.prepare.windows import Window, full_window, object_windows, tile_windows
from tiledseg.masks.classes import foreground

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Piece:
    """One image and its mask, and where they come from.

    Attributes:
        split: ``train``, ``valid`` or ``test``.
        stem: Name of the files, without suffix.
        source: Stem of the image that it was cut from.
        kind: ``tile``, ``reduced``, ``object`` or ``resize``.
        window: Where it lies in the source, in pixels of the source times ``zoom``.
        zoom: By how much the source was enlarged or reduced before.
        copy: Number of the changed copy, from 1; 0 is unchanged.
        image: (h, w, 3), uint8, RGB.
        mask: (h, w), uint8, labels.
    """

    split: str
    stem: str
    source: str
    kind: str
    window: Window
    zoom: float
    copy: int
    image: Pixels
    mask: Pixels


def pieces_of(
    split: str,
    stem: str,
    image: Pixels,
    mask: Pixels,
    spec: PreparationSpec,
    changes: AugmentationSettings,
) -> Iterator[Piece]:
    """Cut one image; the same pieces in the same order whenever and wherever it is done.

    Args:
        split: The split of the image; its pieces stay there.
        stem: Its stem.
        image: (H, W, 3), uint8, RGB.
        mask: (H, W), uint8, labels.
        spec: What to cut.
        changes: How copies are changed.
    """
    for piece in _pass_through(split, stem, image, mask, spec):
        yield piece
        if split == "train":
            for copy in range(1, spec.augment + 1):
                yield _augment(piece, copy, spec.seed, changes)


def resize(pixels: Pixels, longer: int, *, labels: bool) -> Pixels:
    """An image at another size, its sides in proportion.

    Args:
        pixels: (H, W, 3) or (H, W), uint8.
        longer: The longer side that comes out, in pixels.
        labels: True for masks: nearest neighbor, so that no label is invented. Images are
            averaged over areas when they shrink, and interpolated cubically when they grow.
    """
    height, width = pixels.shape[:2]
    factor = longer / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    smooth = cv2.INTER_AREA if factor < 1.0 else cv2.INTER_CUBIC
    return np.asarray(
        cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST_EXACT if labels else smooth)
    )


def _pass_through(
    split: str, stem: str, image: Pixels, mask: Pixels, spec: PreparationSpec
) -> Iterator[Piece]:
    zoom = 1.0
    if spec.enlarge > max(mask.shape):
        zoom = spec.enlarge / max(mask.shape)
        image = resize(image, spec.enlarge, labels=False)
        mask = resize(mask, spec.enlarge, labels=True)
    shape = (mask.shape[0], mask.shape[1])
    base = Piece(split, stem, stem, "whole", full_window(shape), zoom, 0, image, mask)
    if split in spec.uncut or not spec.cuts:
        yield base
        return
    if spec.tile:
        for window in tile_windows(shape, spec.tile, spec.overlap):
            name = f"{stem}_r{window.top}_c{window.left}"
            tile = _cut_piece(base, "tile", name, window)
            if (
                split != "train"
                or foreground(tile.mask).any()
                or _draw(spec.seed, name) < spec.empty
            ):
                yield tile
    if spec.objects:
        for window in object_windows(foreground(mask), spec.objects):
            yield _cut_piece(base, "object", f"{stem}_{window.top}x{window.left}", window)
    if spec.reduce:
        yield _reduce(base, spec.reduce)


def _cut_piece(base: Piece, kind: str, stem: str, window: Window) -> Piece:
    image, mask = base.image[window.slices], base.mask[window.slices]
    return replace(base, kind=kind, stem=stem, window=window, image=image, mask=mask)


def _reduce(base: Piece, longer: int) -> Piece:
    height, width = base.mask.shape
    if max(height, width) <= longer:
        return replace(base, kind="reduced")
    image = resize(base.image, longer, labels=False)
    mask = resize(base.mask, longer, labels=True)
    zoom = base.zoom * longer / max(height, width)
    size = (mask.shape[0], mask.shape[1])
    return replace(
        base, kind="reduced", window=full_window(size), zoom=zoom, image=image, mask=mask
    )


def _augment(piece: Piece, copy: int, seed: int, changes: AugmentationSettings) -> Piece:
    tail = "" if piece.kind in ("tile", "object") else "_0_0"
    stem = f"{piece.stem}{tail}_a{copy}"
    rng = np.random.default_rng(_digits(seed, stem))
    image, mask = augment(piece.image, piece.mask, rng, changes, "rgb")
    return replace(piece, stem=stem, copy=copy, image=image, mask=mask)


def _draw(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on the seed and the name alone."""
    return _digits(seed, name) / 2.0**64


def _digits(seed: Any, name: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest())
