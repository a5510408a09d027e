"""Uploaded images: checked before anything is decoded, kept for one visitor alone.

An upload lies in a folder of its own under a name that we choose. It goes when another one
takes its place, and when the visitor's session ends (``visits``).
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from dashboards.pictures import forget
from dashboards.private_folders import make_folder, remove_folder
from tiledseg.errors import ImageError
from tiledseg.images.content import IMAGE_SUFFIXES
from tiledseg.images.headers import kind_of
from tiledseg.images.reading import image_shape

MOST_MEGABYTES = 200
"""Largest file, in megabytes; Streamlit refuses larger ones before they arrive."""
MOST_PIXELS = 64 * 2**20
"""Largest picture, in pixels: 8192 x 8192."""
SUFFIXES = {
    "jpeg": ".jpg",
    "png": ".png",
    "bmp": ".bmp",
    "tiff": ".tif",
    "webp": ".webp",
    "gif": ".gif",
    "jpeg2000": ".jp2",
}
ACCEPTED = [suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES]

_OTHERS = (
    (b"RIFF", "is a RIFF file without a WebP picture; export it as PNG"),
    (b"%PDF", "is a PDF; export the picture in it as PNG"),
    (b"PK\x03\x04", "is a ZIP archive; upload one picture of it"),
)


@dataclass(frozen=True)
class Upload:
    """An image that was found sound enough to be segmented."""

    name: str
    """As the visitor's file was called."""
    path: Path
    """Where it lies here."""
    height: int
    width: int


class UploadFolder:
    """The files of one visitor."""

    def __init__(self) -> None:
        self.path = make_folder()

    def accept(self, name: str, data: bytes) -> Upload:
        """Check an uploaded file and keep it.

        Args:
            name: What the visitor's file is called; only shown, never used as a path.
            data: Its content.

        Raises:
            ImageError: It is no image that can be segmented; the message says why.
        """
        kind = _check_kind(name, data)
        path = self.path / f"image{SUFFIXES[kind]}"
        self.clear()
        path.touch(mode=0o600)
        path.write_bytes(data)
        try:
            height, width = image_shape(path)
        except ImageError as error:
            path.unlink()
            raise ImageError(str(error).replace(str(path), name)) from None
        if height * width > MOST_PIXELS:
            path.unlink()
            raise ImageError(
                f"{name}: is {width} x {height} pixels, {height * width / 1e6:.0f} million; at "
                f"most {MOST_PIXELS / 1e6:.0f} million are segmented here. Cut it, or use "
                "`tiledseg predict`"
            )
        return Upload(name, path, height, width)

    def clear(self) -> None:
        """Remove the files."""
        forget(self.path)
        for old in self.path.iterdir():
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink()

    def close(self) -> None:
        """Remove the folder."""
        forget(self.path)
        remove_folder(self.path)


def _check_kind(name: str, data: bytes) -> str:
    if not data:
        raise ImageError(f"{name}: is empty; upload a JPEG, PNG, TIFF or BMP")
    if len(data) > MOST_MEGABYTES * 2**20:
        raise ImageError(f"{name}: is larger than {MOST_MEGABYTES} MB; use `tiledseg predict`")
    kind = kind_of(data[:16])
    if kind is not None:
        return kind
    reason = next((words for head, words in _OTHERS if data.startswith(head)), None)
    if reason is None and b"<svg" in data[:2000].lower():
        reason = "is an SVG, which has no pixels; export it as PNG"
    raise ImageError(f"{name}: {reason or 'is no JPEG, PNG, TIFF or BMP inside; export it as PNG'}")
