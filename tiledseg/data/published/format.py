"""Images of published datasets, and errors for folders that are not laid out as expected."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import DatasetError
from tiledseg.images.content import IMAGE_SUFFIXES

Pixels = NDArray[np.uint8]
_SHOWN = 5


@dataclass(frozen=True)
class PublishedImage:
    """An image of a published dataset, and what is cut from it.

    Attributes:
        group: What must not be in two splits: the image, field or patient.
        name: The image, unique in the dataset.
        split: The authors' own split, as ``train``, ``valid`` or ``test``; empty where it is
            drawn.
        read: Makes stems with an image (H, W, 3) uint8 RGB and a mask (H, W) uint8, 0 or 1.
    """

    group: str
    name: str
    split: str
    read: Callable[[], Iterable[tuple[str, Pixels, Pixels]]]


def folders_with(root: Path, *names: str) -> Iterator[Path]:
    """Folders in ``root``, itself included, that hold all of these folders; case is ignored."""
    for folder in [root, *sorted(path for path in root.rglob("*") if path.is_dir())]:
        inside = {path.name.casefold() for path in folder.iterdir() if path.is_dir()}
        if inside >= set(names):
            yield folder


def subfolder(folder: Path, name: str) -> Path:
    """A folder's folder of that name; case is ignored."""
    return next(
        path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.casefold() == name
    )


def pictures_in(folder: Path) -> list[Path]:
    """Image files directly in a folder, sorted."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_file()
        and path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
    ]


def format_error(folder: Path, expected: str) -> DatasetError:
    """Error for a folder of another layout: what was found, what was expected."""
    if not folder.is_dir():
        return DatasetError(f"{folder} is no folder; expected {expected}")
    names = sorted(
        f"{path.name}/" if path.is_dir() else path.name
        for path in folder.iterdir()
        if not path.name.startswith(".")
    )
    shown = ", ".join(names[:_SHOWN]) + (
        f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    )
    return DatasetError(f"{folder}: found {shown or 'nothing'}; expected {expected}")


def incomplete_error(folder: Path, lonely: Sequence[str], what: str, expected: str) -> DatasetError:
    """Error for files without a partner."""
    shown = ", ".join(lonely[:_SHOWN]) + (", ..." if len(lonely) > _SHOWN else "")
    return DatasetError(
        f"{folder}: {len(lonely)} {what} ({shown}); expected {expected}; unpack the archive again"
    )
