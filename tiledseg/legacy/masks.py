"""Translation of the keys about masks: foreground alone, or several classes."""

from typing import Any

from tiledseg.legacy.reader import Reader
from tiledseg.legacy.values import UnreadableValueError, parse_text, parse_whole, switch

_COLORS = ("mask.rgb_map", "dataset.rgb_mask", "mask.mask_colors")


def translate_masks(reader: Reader) -> None:
    """Put down how masks are read; ``model.num_classes`` must be there already."""
    count = reader.get("model.num_classes")
    if count == 1:
        _foreground(reader)
        reader.add_note(
            "unavailable", "one foreground class: everything above mask_threshold", *_COLORS
        )
        return
    _classes(reader, count)
    reader.add_note(
        "ignored", "masks tell a class for every pixel", "mask.binarize", "mask.threshold", *_COLORS
    )


def _foreground(reader: Reader) -> None:
    binarize = reader.value("mask.binarize", switch, False)
    threshold = reader.value("mask.threshold", parse_whole, 128)
    if binarize:
        reader.put(
            "dataset.mask_threshold",
            min(max(threshold - 1, 0), 254),
            "mask.threshold",
            "mask.binarize",
            words="there, a pixel was foreground from the threshold on; here, above it",
        )
        return
    reader.put(
        "dataset.mask_threshold",
        0,
        "mask.binarize",
        words="without binarize, every pixel that is not black was foreground; for masks "
        "stored as JPEG, 127 is better",
    )
    reader.add_note("ignored", "the source program uses it with binarize only", "mask.threshold")


def _classes(reader: Reader, count: int) -> None:
    """The later program's masks: a color for each label, turned into labels as they are read."""
    names = ["background", *(f"class {label}" for label in range(1, count))]
    reader.put("dataset.classes", names, words="the file has no names; give them here")
    nothing: list[str] = []
    colors = reader.value("mask.rgb_map", _colors_by_label, nothing)
    if len(colors) == count:
        reader.put("dataset.mask_form", "colors", "mask.rgb_map")
        reader.put("dataset.mask_colors", colors, "mask.rgb_map")
    else:
        if colors:
            fault = f"it has colors for {len(colors)} labels, and num_classes is {count}"
            reader.add_note("unavailable", f"{fault}; masks are read as labels", "mask.rgb_map")
        remark = "the number of a pixel, or of its color in a palette, is its class"
        reader.put("dataset.mask_form", "labels", words=remark)
    if reader.value("mask.mask_file_format", parse_text, "").lower() == ".npz":
        reader.add_note(
            "unavailable",
            "masks are read as pictures: take those that the .npz files were made from",
            "mask.mask_file_format",
        )


def _colors_by_label(value: Any) -> list[str]:
    """Of ``{(red, green, blue): label}`` for the labels from 0 on, as ``#rrggbb``."""
    if not isinstance(value, dict):
        raise UnreadableValueError("not a mapping of colors to labels")
    colors = {parse_whole(label): _color(color) for color, label in value.items()}
    if sorted(colors) != list(range(len(value))) or len(set(colors.values())) < len(value):
        raise UnreadableValueError("not a color for each label from 0 on")
    return [colors[label] for label in range(len(value))]


def _color(value: Any) -> str:
    channels = [parse_whole(channel) for channel in value] if isinstance(value, tuple) else []
    if len(channels) != 3 or not all(0 <= channel <= 255 for channel in channels):
        raise UnreadableValueError(f"{value!r} is no color of red, green and blue")
    return "#" + bytes(channels).hex()
