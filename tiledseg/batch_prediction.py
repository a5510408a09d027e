"""Masks for files and folders."""

import glob
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiledseg.data.images import list_images, read_image, write_image, write_mask
from tiledseg.errors import ImageError, OutputError
from tiledseg.pictures import overlay
from tiledseg.prediction import Mode, Predictor


@dataclass(frozen=True)
class PredictedFile:
    """A mask that was written."""

    image: Path
    mask: Path
    foreground: float
    """Fraction of pixels."""
    megapixels: float
    seconds: float
    """From opened image to written mask."""


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Images among files, folders and patterns such as ``slides/*.png``.

    Raises:
        ImageError: A path does not exist, holds no image, or two images share a stem.
    """
    images = [image for path in paths for image in _images_at(path)]
    seen: dict[str, Path] = {}
    for image in images:
        if image.stem in seen:
            raise ImageError(
                f"{seen[image.stem]} and {image} would both be written as {image.stem}.png; "
                "predict them into different folders"
            )
        seen[image.stem] = image
    return images


def predict_files(
    predictor: Predictor,
    images: Sequence[Path],
    output: Path,
    *,
    mode: Mode = "tiled",
    with_overlay: bool = False,
    overwrite: bool = False,
    observer: Callable[[PredictedFile], None] = lambda _: None,
) -> list[PredictedFile]:
    """Write one mask ``STEM.png`` (grey, 0 or 255) per image into ``output``.

    Args:
        predictor: The network.
        images: Files whose stems differ.
        output: Folder for masks, made if missing; overlays go to ``output/overlay``.
        mode: See ``Predictor.probability``.
        with_overlay: Write the mask on the image as well.
        overwrite: Replace masks that exist.
        observer: Told about every file that was written.

    Raises:
        OutputError: A mask exists, or the folder cannot be written.
        ImageError: An image cannot be read.
    """
    _refuse_to_overwrite(images, output, overwrite)
    done = []
    for image, target in _targets(images, output):
        began = time.perf_counter()
        pixels = read_image(image)
        mask = predictor.mask(pixels, mode)
        write_mask(target, mask)
        if with_overlay:
            write_image(output / "overlay" / target.name, overlay(pixels, mask))
        done.append(
            PredictedFile(
                image=image,
                mask=target,
                foreground=float(mask.mean()),
                megapixels=mask.size / 1e6,
                seconds=time.perf_counter() - began,
            )
        )
        observer(done[-1])
    return done


def _images_at(path: Path) -> list[Path]:
    if path.is_dir():
        found = list_images(path)
        if not found:
            raise ImageError(f"{path}: no image in this folder; name one that holds images")
        return found
    if path.exists():
        return [path]
    matches = [Path(match) for match in sorted(glob.glob(str(path)))]  # noqa: PTH207 - absolute
    if not matches:
        raise ImageError(f"{path}: no such file or folder")
    return matches


def _targets(images: Sequence[Path], output: Path) -> Iterator[tuple[Path, Path]]:
    for image in images:
        yield image, output / f"{image.stem}.png"


def _refuse_to_overwrite(images: Sequence[Path], output: Path, overwrite: bool) -> None:
    for image, target in _targets(images, output):
        if target.resolve() == image.resolve():
            raise OutputError(f"{target}: the mask would replace its image; name another --output")
        if target.exists() and not overwrite:
            raise OutputError(f"{target} exists; name another --output, or pass --overwrite")
