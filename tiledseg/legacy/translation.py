"""Translation of a ``train_eval_infer.config`` into the settings of an experiment.

Facts about the source program (its defaults, what it does with a value) are those of its
public code between 2023 and 2025.
"""

import re
from collections.abc import Iterable

from pydantic import ValidationError

from tiledseg.config import ModelSettings
from tiledseg.config.architectures import ARCHITECTURES
from tiledseg.config.messages import explain
from tiledseg.errors import ExperimentError
from tiledseg.legacy.augmentation import translate_augmentation
from tiledseg.legacy.folders import translate_folders
from tiledseg.legacy.ini import Entry
from tiledseg.legacy.masks import BASE, reads_plainly, translate_masks
from tiledseg.legacy.network import find_network, translate_network
from tiledseg.legacy.reader import Reader
from tiledseg.legacy.reasons import KNOWN, REASONS
from tiledseg.legacy.training import translate_training
from tiledseg.legacy.values import finite, parse_text, parse_whole, switch

_REQUIRED = (
    "model.image_width", "model.image_height", "model.image_channels", "model.num_classes",
    "model.learning_rate", "model.loss", "model.metrics", "train.epochs", "train.batch_size",
)  # fmt: skip
"""Keys without a default in the source program, whatever the network."""
_FOLDERS = (
    ("image_datapath", "images_dir"), ("mask_datapath", "masks_dir"), ("model_dir",), ("eval_dir",),
)  # fmt: skip
"""Of ``[train]``, by their older and their newer name."""
_TILE = 1536
_COLOR_SPACES = {"HSV": "hsv", "HSV_FULL": "hsv", "LAB": "lab", "Lab": "lab", "GRAY": "gray"}
_COLOR_KEYS = ("image.color_converter", "image.gamma", "image.sharpening")


def translate(entries: Iterable[Entry], stem: str) -> Reader:
    """Translate the keys of a file into settings and notes.

    Args:
        entries: The file.
        stem: Names the dataset if the file does not.

    Returns:
        A reader, in which every key of the file is named by a setting or a note.

    Raises:
        ExperimentError: Its network's settings are each allowed, and all together are not.
    """
    reader = Reader(entries)
    name, network = find_network(reader)
    reader.require(*_REQUIRED, *(f"model.{key}" for key in sorted(network.required)))
    for names in _FOLDERS:
        found = next((each for each in names if reader.has(f"train.{each}")), names[0])
        reader.require(f"train.{found}")
    translate_folders(reader, stem)
    translate_network(reader, name, network)
    translate_masks(reader)
    _image(reader)
    _tiling(reader)
    translate_training(reader, network)
    translate_augmentation(reader)
    reader.note_the_rest(REASONS, KNOWN)
    return reader


def _image(reader: Reader) -> None:
    width = reader.value("model.image_width", parse_whole, 512)
    height = reader.value("model.image_height", parse_whole, width)
    layout = {s.key: s.value for s in reader.settings if s.section == "model"}
    try:
        stride = ModelSettings.model_validate(layout).stride
    except ValidationError as error:
        raise ExperimentError(
            f"the settings of its network do not go together: {explain(error, ModelSettings)}"
        ) from None
    size = min(max(-(-min(width, height) // stride) * stride, 32, stride), 4096 // stride * stride)
    remarks = [] if width == height else [f"crops are square here, not {width} x {height}"]
    if size != min(width, height):
        levels = layout.get("num_layers")
        who = f"{levels} levels need" if levels else f"{layout['architecture']} needs"
        remarks.append(f"{who} a multiple of {stride} px")
    reader.put(
        "image.size", size, "model.image_width", "model.image_height", words="; ".join(remarks)
    )
    channels = reader.value("model.image_channels", parse_whole, 3)
    plain = reads_plainly(reader)
    if plain:
        reader.add_note("ignored", f"{BASE} does not read it", *_COLOR_KEYS)
    color = "rgb" if plain else _color_space(reader)
    color = "gray" if channels == 1 else color
    reader.put("image.channels", 1 if color == "gray" else channels, "model.image_channels")
    _colors(reader, color, plain=plain)
    _resizing(reader, plain=plain)


def _colors(reader: Reader, color: str, *, plain: bool) -> None:
    """Color space, gamma and sharpening; ``plain`` where the source program leaves them alone."""
    if plain:
        for key, value in (("color_space", color), ("gamma", 1.0), ("sharpening", 0.0)):
            reader.put(f"image.{key}", value, words=f"{BASE} changes no colors")
        return
    reader.put("image.color_space", color, "image.color_converter")
    gamma = reader.value("image.gamma", finite, 0.0)
    reader.put("image.gamma", gamma or 1.0, "image.gamma", words="" if gamma else "0 means none")
    sharpening = reader.value("image.sharpening", finite, 0.0)
    remark = "weight of an unsharp mask; the kernel is another" if sharpening else ""
    reader.put("image.sharpening", min(sharpening, 5.0), "image.sharpening", words=remark)


def _resizing(reader: Reader, *, plain: bool) -> None:
    online = reader.value("model.generator", switch, False)
    if plain or online:
        words = "the source program reads it for ImageMaskDataset only, without generator"
        reader.add_note("ignored", words, "dataset.resize_interpolation")
    words = "crops are taken at full size; nothing is resized for training"
    reader.add_note("unavailable", words, "dataset.resize_interpolation")


def _tiling(reader: Reader) -> None:
    layout = {s.key: s.value for s in reader.settings if s.section == "model"}
    model = ModelSettings.model_validate(layout)
    if model.architecture == "U2Net":
        reader.put("tiling.mode", "blend", words="its halo is larger than most tiles")
    tile, words = -(-_TILE // model.stride) * model.stride, "a multiple of the stride"
    if ARCHITECTURES[model.architecture].reads("num_layers"):
        # The halo of such a U-Net is about 7.5 strides; a tile of 24 keeps 9 in its middle.
        tile, words = max(_TILE, 24 * model.stride), "the halo needs room: it grows with num_layers"
    reader.put("tiling.max_tile", tile, words=words)
    blended = "tiled masks without the pixels that the resized image's mask lacks: tiledseg predict"
    if not reader.has("tiledinfer.bitwise_blending"):
        words = f"[tiledinfer] bitwise_blending is not in the file, and True there: {blended}"
        reader.tell("different", f"{words} --mode intersection makes them")
    elif reader.value("tiledinfer.bitwise_blending", switch, True):
        words = f"{blended} --mode intersection makes them"
        reader.add_note("elsewhere", words, "tiledinfer.bitwise_blending")
    reader.add_note("elsewhere", "tiledseg predict does not", "tiledinfer.bitwise_blending")


def _color_space(reader: Reader) -> str:
    def read(value: object) -> str:
        return "" if value is None else parse_text(value)

    converter = reader.value("image.color_converter", read, "")
    name = re.sub(r"^(cv2\.)?COLOR_(BGR|RGB)2", "", converter)
    if name in _COLOR_SPACES or not converter:
        return _COLOR_SPACES.get(name, "rgb")
    reader.add_note("unavailable", "no such color space; rgb is used", "image.color_converter")
    return "rgb"
