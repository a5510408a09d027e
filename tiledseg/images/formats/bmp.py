"""BMP: its header by Pillow, and whether its pixels are all there."""

from io import BytesIO

from PIL.BmpImagePlugin import BmpImageFile

from tiledseg.errors import one_line
from tiledseg.images.headers import Header


def parse_bmp(data: bytes) -> Header:
    """Read the header.

    Raises:
        ValueError: The file is truncated or damaged; the message follows its name.
    """
    try:
        # The plugin itself: ``Image.open`` refuses or warns of large images.
        image = BmpImageFile(BytesIO(data))
        codec, _, start, arguments = image.tile[0]
    except Exception as error:  # noqa: BLE001 - SyntaxError, OSError, struct.error... by the fault
        raise ValueError(f"is a truncated or damaged BMP ({one_line(error)})") from None
    if codec == "raw" and isinstance(arguments, tuple):
        row = int(arguments[1])
        if start + row * image.height > len(data):
            raise ValueError("is a truncated BMP (pixels are missing at its end)")
    colors = len(image.getbands())
    return Header(
        "bmp",
        height=image.height,
        width=image.width,
        channels=3 if image.mode == "P" else colors,
        bits=8,
        alpha=image.mode == "RGBA",
        palette=image.mode == "P",
    )
