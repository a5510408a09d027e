"""Translation of the keys about masks: foreground alone, or several classes."""

import math
from typing import Any

from tiledseg.legacy.reader import Reader
from tiledseg.legacy.values import UnreadableValueError, finite, parse_text, parse_whole, switch

BASE = "BaseImageMaskDataset"
"""Reads images and masks without looking at ``[mask]`` and ``[image]``."""
_READERS = ("", "ImageMaskDataset", BASE)
_CUTS = ("mask.binarize", "mask.threshold", "mask.algorithm")
_BLURS = ("mask.blur", "mask.blur_size")
_COLORS = ("mask.rgb_map", "dataset.rgb_mask", "mask.mask_colors")


def reads_plainly(reader: Reader) -> bool:
    """Whether images and masks are read by ``BaseImageMaskDataset``.

    Where images are augmented online, another class reads them, whatever is named.
    """
    online = reader.value("model.generator", switch, False)
    named = reader.value("dataset.datasetclass", parse_text, "")
    if online:
        words = "with generator = True the source program reads images and masks otherwise"
        reader.add_note("ignored", words, "dataset.datasetclass")
    elif named not in _READERS:
        words = "masks are read as by ImageMaskDataset"
        reader.add_note("unavailable", words, "dataset.datasetclass")
    return named == BASE and not online


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
    words = "masks tell a class for every pixel"
    reader.add_note("ignored", words, *_CUTS, *_BLURS, *_COLORS)


def _foreground(reader: Reader) -> None:
    if reads_plainly(reader):
        words = f"{BASE} reads neither binarize, threshold nor blur: any gray above 0"
        reader.put("dataset.mask_threshold", 0, "dataset.datasetclass", words=words)
        reader.add_note("ignored", f"{BASE} does not read it", *_CUTS, *_BLURS)
        return
    _blur(reader)
    if reader.value("mask.binarize", switch, False):
        _threshold(reader)
        return
    reader.put(
        "dataset.mask_threshold",
        0,
        "mask.binarize",
        words="without binarize, every pixel that is not black was foreground; for masks "
        "stored as JPEG, 127 is better",
    )
    words = "the source program uses it with binarize only"
    reader.add_note("ignored", words, "mask.threshold", "mask.algorithm")


def _threshold(reader: Reader) -> None:
    """The cut of ``binarize``, by OpenCV's algorithm where one is named and read."""
    reader.require("mask.threshold")
    threshold = reader.value("mask.threshold", finite, 128.0)
    algorithm = ""
    if reader.value("model.generator", switch, False):
        words = "with generator = True the source program does not read it"
        reader.add_note("ignored", words, "mask.algorithm")
    else:
        algorithm = reader.value("mask.algorithm", _name_algorithm, "")
    remark = "there, a pixel was foreground from the threshold on; here, above it"
    above = math.ceil(threshold) - 1
    if algorithm in ("OTSU", "TRIANGLE"):
        words = "a threshold is not found for each mask; 127 for all"
        reader.add_note("unavailable", words, "mask.algorithm")
        above, remark = 127, ""
    elif algorithm == "BINARY":
        above, remark = math.floor(threshold), ""
    elif algorithm:
        above, remark = 0, "it leaves dark pixels as they are: any gray above 0 was foreground"
    sources = ("mask.threshold", "mask.binarize", "mask.algorithm")
    above = min(max(above, 0), 254)
    reader.put("dataset.mask_threshold", above, *sources, words=remark)


def _name_algorithm(value: Any) -> str:
    """``cv2.THRESH_OTSU`` as ``OTSU``; None as nothing."""
    return "" if value is None else parse_text(value).rpartition("THRESH_")[2]


def _blur(reader: Reader) -> None:
    if reader.value("mask.blur", switch, False):
        words = "it widened masks by its radius, as any gray counted; masks are kept as they are"
        reader.add_note("unavailable", words, *_BLURS)
    reader.add_note("ignored", "it is off", *_BLURS)


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
