"""What is asked of a prediction, and where its files go."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import OutputError
from tiledseg.images.band_writing import SUFFIXES, Format
from tiledseg.images.opening import stem_of
from tiledseg.masks.classes import Labels
from tiledseg.prediction.predictor import Mode

Content = Literal["mask", "probability", "instances"]

Painter = Callable[[NDArray[np.uint8], Labels], NDArray[np.uint8]]
"""Makes of an image (h, w, 3) RGB and its labels (h, w) a picture (h, w, 3) that shows both."""

OBJECT_SUFFIXES = (".csv", ".geojson")
"""A row per object, and outlines."""


@dataclass(frozen=True)
class PredictionOptions:
    """What is wanted of every image.

    Attributes:
        format: Of the picture.
        content: ``mask``: 0 or 255, of several classes the label, in PNG with a palette.
            ``probability``: 255 times the probability of foreground, in 8 bits; of one class.
            ``instances``: each object's number, from 1 in reading order, in 32 bits (16 in PNG).
        mode: See ``Predictor.probability``.
        interest: A mask of where to look, at any scale; outside is background.
        skip_background: Leave tiles out that show only empty glass.
        with_objects: Write ``objects/STEM.csv`` and ``.geojson``, and the labels as
            ``objects/STEM.tif``.
        paint: Writes ``overlay/STEM.png``, reduced to 4096 pixels where a side is longer; none
            where it is absent.
        min_object_area: Objects of fewer pixels are dropped; None: as the model's settings say.
        max_hole_area: Holes of at most so many pixels are filled; None likewise.
        overwrite: Replace files that exist.
        skip_existing: Of several images leave those alone whose files all exist, whatever they
            were made with; where only some do, replace those.
        on_tiles: Told the image, and how many of how many tiles are finished.

    Raises:
        OutputError: Files that exist are to be both replaced and left alone.
    """

    format: Format = "png"
    content: Content = "mask"
    mode: Mode = "tiled"
    interest: Path | None = None
    skip_background: bool = False
    with_objects: bool = False
    paint: Painter | None = None
    min_object_area: int | None = None
    max_hole_area: int | None = None
    overwrite: bool = False
    skip_existing: bool = False
    on_tiles: Callable[[Path, int, int], object] = lambda *_: None

    def __post_init__(self) -> None:
        if self.overwrite and self.skip_existing:
            raise OutputError(
                "--skip-existing leaves existing outputs alone, and --overwrite replaces them; "
                "pass one of the two"
            )


@dataclass(frozen=True)
class Targets:
    """Files that a prediction ends in.

    Attributes:
        stem: What they are named after.
        picture: Mask, probability or labels.
        skipped: Which tiles were left out; written where something may be.
        objects: CSV and GeoJSON; none where they are not asked for.
        labels: The labels that go with them.
        overlay: The mask on the image, if it is asked for.
    """

    stem: str
    picture: Path
    skipped: Path | None
    objects: tuple[Path, ...]
    labels: Path | None
    overlay: Path | None

    @classmethod
    def of(cls, image: Path, output: Path, options: PredictionOptions) -> "Targets":
        """The files for an image in a folder."""
        stem = stem_of(image)
        wanted = OBJECT_SUFFIXES if options.with_objects else ()
        chooses = options.interest is not None or options.skip_background
        return cls(
            stem=stem,
            picture=output / f"{stem}{SUFFIXES[options.format]}",
            skipped=output / f"{stem}.skipped.json" if chooses else None,
            objects=tuple(output / "objects" / f"{stem}{suffix}" for suffix in wanted),
            labels=output / "objects" / f"{stem}.tif" if options.with_objects else None,
            overlay=output / "overlay" / f"{stem}.png" if options.paint is not None else None,
        )

    def __iter__(self) -> Iterator[Path]:
        for path in (*self.objects, self.labels, self.skipped, self.overlay, self.picture):
            if path is not None:
                yield path

    def check(self, image: Path, *, overwrite: bool) -> None:
        """Refuse to replace the image, and, without ``overwrite``, anything else.

        Raises:
            OutputError: A file exists, or is the image itself.
        """
        for path in sorted(self, key=lambda path: path != self.picture):
            if path.resolve() == image.resolve():
                raise OutputError(
                    f"{path}: the output would replace its image; name another --output"
                )
            if path.exists() and not overwrite:
                raise OutputError(
                    f"{path} exists; name another --output, or pass --skip-existing to predict "
                    "what is missing, or --overwrite to replace it"
                )
