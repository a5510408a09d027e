"""Images that are decoded whole: one door for files of all kinds, and the limits stand in it.

The header that is looked at and the pixels that are decoded come from one opening of the file.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from tiledseg.images.content import fault, read_content
from tiledseg.images.decoding import EncodedImage
from tiledseg.images.headers import Header, kind_of
from tiledseg.images.limits import require_fit, require_substance
from tiledseg.images.ome_zarr import StoreImage, is_store
from tiledseg.images.parsing import parse_header
from tiledseg.images.pixel_size import PixelSize
from tiledseg.images.tiff import TiffPicture


class WholeImage(Protocol):
    """An open image; what it gives is turned upright. ValueErrors follow the file's name."""

    @property
    def header(self) -> Header:
        """What the file holds."""
        ...

    @property
    def pixel_size(self) -> PixelSize | None:
        """Size of a pixel by a TIFF's metadata; None of other formats."""
        ...

    def decode(self) -> NDArray[Any]:
        """The values as stored, (H, W) or (H, W, C); colors of a palette in place of indices."""
        ...

    def decode_pages(self) -> list[NDArray[Any]]:
        """All pages of one size, as ``decode`` gives the first."""
        ...

    def decode_indices(self) -> NDArray[Any]:
        """The numbers as stored, without the palette that gives them colors, (H, W)."""
        ...


@contextmanager
def open_whole(path: Path) -> Iterator[WholeImage]:
    """Open an image that is whole, and not too large to be decoded in one piece.

    Within the block, ValueErrors of decoding become the errors of the file.

    Raises:
        ImageError: The file is missing, truncated, damaged, too large, or of another kind.
    """
    with ExitStack() as stack:
        try:
            image = _open(path, stack)
            require_fit(image.header)
            if isinstance(image, EncodedImage):
                require_substance(image.header, image.stored_bytes)
            yield image
        except ValueError as error:
            raise fault(path, str(error)) from None


def _open(path: Path, stack: ExitStack) -> WholeImage:
    if is_store(path):
        return StoreImage(path)
    data = read_content(path)
    if kind_of(data) == "tiff":
        return stack.enter_context(TiffPicture(path))
    return EncodedImage(parse_header(data), data)
