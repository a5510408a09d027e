"""The bytes of image files, as far as they are needed, and how a fault of a file is told."""

import os
from pathlib import Path

from tiledseg.config.regular_files import open_regular
from tiledseg.errors import ImageError
from tiledseg.images.headers import kind_of
from tiledseg.images.limits import MAX_BYTES
from tiledseg.images.ome_zarr import STORE_SUFFIX

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff",
    ".webp",
)  # fmt: skip
READ_SUFFIXES = (*IMAGE_SUFFIXES, STORE_SUFFIX)
"""Those of files, and that of OME-Zarr stores, which are folders and are not written."""

_HEAD = 64
_POINTER = b"version https://git-lfs"


def read_content(path: Path) -> bytes:
    """Read an image file; of a TIFF, which is read piece by piece, the head alone.

    A TIFF may be far larger than the page that is read from it, and scanners give it suffixes of
    their own. What is no image is not read to its end.

    Raises:
        ImageError: It is missing, no regular file, or no image.
    """
    named = path.suffix.lower() in IMAGE_SUFFIXES
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD)
            kind = kind_of(head)
            size = os.fstat(file.fileno()).st_size
            whole = named and kind not in (None, "tiff") and size <= MAX_BYTES
            file.seek(0)
            data = file.read() if whole else head
    except FileNotFoundError:
        raise fault(path, "does not exist", "check the path") from None
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise fault(path, reason, "check that it is a readable file") from None
    if not named and kind != "tiff":
        raise fault(
            path,
            f"has the suffix {path.suffix!r}, which is not read, and is no TIFF inside",
            f"use one of {', '.join(READ_SUFFIXES)}",
        )
    if not data:
        raise fault(path, "is empty")
    if data.startswith(_POINTER):
        reason, remedy = "is a pointer of Git LFS, without the file", "fetch it with git lfs pull"
        raise fault(path, reason, remedy)
    if kind not in (None, "tiff") and not whole:
        raise fault(
            path,
            f"has {size / 1e9:.1f} GB, and at most {MAX_BYTES / 1e9:.1f} are read of a "
            f"{kind.upper()}",
            "save it as tiled TIFF",
        )
    return data


def fault(
    path: Path, reason: str, remedy: str = "copy or export it again, or remove it"
) -> ImageError:
    """The error of a file; one whose reason holds a remedy already is not given a second.

    Args:
        path: The file.
        reason: Words that follow its name.
        remedy: What to do.
    """
    return ImageError(f"{path}: {reason}" if "; " in reason else f"{path}: {reason}; {remedy}")
