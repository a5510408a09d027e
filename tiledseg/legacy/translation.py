"""Translation of a ``train_eval_infer.config`` into the settings of an experiment.

Facts about the source program (its defaults, what it does with a value) are those of its
public code between 2023 and 2025.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from pydantic import ValidationError

from tiledseg.config import ModelSettings
from tiledseg.config.messages import explain
from tiledseg.errors import ExperimentError
from tiledseg.legacy.augmentation import translate_augmentation
from tiledseg.legacy.ini import Entry
from tiledseg.legacy.masks import translate_masks
from tiledseg.legacy.network import translate_network
from tiledseg.legacy.reader import Reader
from tiledseg.legacy.reasons import KNOWN, REASONS
from tiledseg.legacy.values import finite, parse_text, parse_whole, switch

_LOSSES = {
    "binary_crossentropy": "bce",
    "dice_loss": "dice",
    "iou_loss": "iou",
    "bce_dice_loss": "bce_dice",
    "bce_iou_loss": "bce_iou",
}
_COLOR_SPACES = {"HSV": "hsv", "HSV_FULL": "hsv", "LAB": "lab", "Lab": "lab", "GRAY": "gray"}
_ESCAPES = {
    ord(sign): f"/{letter}" for sign, letter in zip("\a\b\f\n\r\t\v", "abfnrtv", strict=True)
}
"""What Windows paths in quotes lose: in ``"dataset\\train"`` Python reads a tab."""
_PICTURE_SWITCHES = (
    "train.epoch_change_infer",
    "train.epoch_change_tiledinfer",
    "train.epoch_change_tiled_infer",
)
_ADAMW_DECAY = 0.004
"""Keras's default, which the source program leaves alone."""
_LIKE_SOURCE = "as the source program does"


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
    _dataset(reader, stem)
    translate_network(reader)
    translate_masks(reader)
    _image(reader)
    _training(reader)
    translate_augmentation(reader)
    reader.note_the_rest(REASONS, KNOWN)
    return reader


def _dataset(reader: Reader, stem: str) -> None:
    paths = ("train.image_datapath", "train.images_dir", "eval.image_datapath", "valid.images_dir")
    folders = [reader.value(path, parse_text, "") for path in paths]
    source, folder = next(
        ((path, found) for path, found in zip(paths, folders, strict=True) if _dataset_name(found)),
        ("", ""),
    )
    name = _dataset_name(folder) or _dataset_name(stem) or "imported"
    remark = "" if source else "the file names no dataset"
    reader.put("dataset.name", name, source, words=remark)


def _dataset_name(path: str) -> str:
    """The dataset's folder in a path such as ``../../../dataset/Tiled-Cell/train/images/``."""
    slashes = path.translate(_ESCAPES).replace("\\", "/")
    parts = [part for part in PurePosixPath(slashes).parts if part.strip("./ ")]
    folded = [part.casefold() for part in parts]
    for end, part in enumerate(folded):
        if part in {"train", "valid", "test", "eval", "images"}:
            parts, folded = parts[:end], folded[:end]
            break
    for start in reversed(range(len(parts))):
        if folded[start] in {"dataset", "datasets", "data"}:
            parts = parts[start + 1 :]
            break
    name = re.sub(r"[^A-Za-z0-9._ -]+", "-", parts[0]) if parts else ""
    return name.strip(" ._-")


def _image(reader: Reader) -> None:
    width = reader.value("model.image_width", parse_whole, 512)
    height = reader.value("model.image_height", parse_whole, width)
    layout = {
        setting.key: setting.value for setting in reader.settings if setting.section == "model"
    }
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
    color = _color_space(reader) if channels != 1 else "gray"
    reader.put("image.channels", 1 if color == "gray" else channels, "model.image_channels")
    reader.put("image.color_space", color, "image.color_converter")
    gamma = reader.value("image.gamma", finite, 0.0)
    reader.put("image.gamma", gamma or 1.0, "image.gamma", words="" if gamma else "0 means none")
    sharpening = reader.value("image.sharpening", finite, 0.0)
    remark = "weight of an unsharp mask; the kernel is another" if sharpening else ""
    reader.put("image.sharpening", min(sharpening, 5.0), "image.sharpening", words=remark)
    # The halo of such a U-Net is about 7.5 strides; a tile of 24 keeps 9 in its middle.
    tile = max(1536, 24 * stride)
    reader.put("tiling.max_tile", tile, words="the halo needs room: it grows with num_layers")
    reader.add_note(
        "ignored",
        "a halo as wide as the network sees makes tiles exact",
        "tiledinfer.overlapping",
        "tiledinfer.split_size",
    )


def _color_space(reader: Reader) -> str:
    def read(value: object) -> str:
        return "" if value is None else parse_text(value)

    converter = reader.value("image.color_converter", read, "")
    name = re.sub(r"^(cv2\.)?COLOR_(BGR|RGB)2", "", converter)
    if name in _COLOR_SPACES or not converter:
        return _COLOR_SPACES.get(name, "rgb")
    reader.add_note("unavailable", "no such color space; rgb is used", "image.color_converter")
    return "rgb"


def _training(reader: Reader) -> None:
    online = reader.value("model.generator", switch, False)
    reader.put("training.epochs", reader.value("train.epochs", parse_whole, 100), "train.epochs")
    batch = reader.value("train.batch_size", parse_whole, 4)
    reader.put("training.batch_size", batch, "train.batch_size")
    steps, tiles = reader.value("train.steps_per_epoch", parse_whole, 400), batch
    tiles *= reader.value("train.validation_steps", parse_whole, 800)
    remark = "" if online else "there, an epoch was one pass over the images"
    reader.put("training.steps_per_epoch", steps, "train.steps_per_epoch", words=remark)
    if online:
        remark = "validation_steps times batch_size"
        reader.put("training.validation_tiles", tiles, "train.validation_steps", words=remark)
    else:
        reader.add_note("ignored", "used with generator = True only", "train.validation_steps")
    reader.put("training.foreground_fraction", 0.0, words=_LIKE_SOURCE)
    loss = reader.value("model.loss", parse_text, "binary_crossentropy")
    named = _LOSSES.get(loss, loss.removesuffix("_loss"))
    reader.put("training.loss", named, "model.loss", instead="bce")
    _optimizer(reader)
    _schedule(reader)
    pictures = reader.value("train.num_infer_images", parse_whole, 1)
    shown = [reader.value(name, switch, False) for name in _PICTURE_SWITCHES]
    sources = (*_PICTURE_SWITCHES, "train.num_infer_images")
    reader.put("training.epoch_pictures", pictures if any(shown) else 0, *sources)


def _optimizer(reader: Reader) -> None:
    optimizer = reader.value("model.optimizer", parse_text, "Adam")
    reader.put("training.optimizer", optimizer, "model.optimizer", instead="Adam")
    if reader.get("training.optimizer") == "AdamW":
        reader.put("training.weight_decay", _ADAMW_DECAY, words=_LIKE_SOURCE)
    rate = reader.value("model.learning_rate", finite, 1e-3)
    reader.put("training.learning_rate", rate, "model.learning_rate")
    clip = reader.value("model.clipvalue", finite, 0.2)
    reader.put("training.clipvalue", clip, "model.clipvalue", instead=0.2)
    reader.put("training.clipnorm", None, words=_LIKE_SOURCE)


def _schedule(reader: Reader) -> None:
    patience = reader.value("train.patience", parse_whole, 10)
    reader.put("training.patience", patience, "train.patience", instead=10)
    reducer = "train.learning_rate_reducer"
    keys = ("train.reducer_factor", "train.reducer_patience")
    if reader.value(reducer, switch, False):
        reader.put("training.schedule", "plateau", reducer)
        factor = reader.value(keys[0], finite, 0.1)
        reader.put("training.reducer_factor", factor, keys[0], instead=0.1)
        after = reader.value(keys[1], parse_whole, patience // 2 or 5)
        reader.put("training.reducer_patience", after, keys[1])
    else:
        reader.put("training.schedule", "constant", reducer)
        reader.add_note("ignored", "used with learning_rate_reducer = True only", *keys)
    reader.put("training.monitor", "val_loss", words=_LIKE_SOURCE)
