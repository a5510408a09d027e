"""Translation of the keys about training."""

from typing import get_args

from tiledseg.config import TrainingSettings
from tiledseg.config.messages import shorten
from tiledseg.config.training import WatchedMetric
from tiledseg.legacy.reader import Reader
from tiledseg.legacy.source_networks import SourceNetwork
from tiledseg.legacy.values import finite, parse_text, parse_whole, switch, texts

WATCHED: tuple[str, ...] = get_args(WatchedMetric)
_ALWAYS = ("dice_coef", "dice")
_LOSSES = {
    "binary_crossentropy": "bce",
    "dice_loss": "dice",
    "iou_loss": "iou",
    "bce_dice_loss": "bce_dice",
    "bce_iou_loss": "bce_iou",
}
_PICTURE_SWITCHES = (
    "train.epoch_change_infer",
    "train.epoch_change_tiledinfer",
    "train.epoch_change_tiled_infer",
)
_ADAMW_DECAY = 0.004
"""Keras's default, which the source program leaves alone."""
_LIKE_SOURCE = "as the source program does"
_MOST_NAMED = 5


def translate_training(reader: Reader, network: SourceNetwork) -> None:
    """Put down the section ``training``."""
    online = reader.value("model.generator", switch, False)
    reader.put("training.epochs", reader.value("train.epochs", parse_whole, 100), "train.epochs")
    batch = reader.value("train.batch_size", parse_whole, 4)
    reader.put("training.batch_size", batch, "train.batch_size")
    _steps(reader, batch, online=online)
    reader.put("training.foreground_fraction", 0.0, words=_LIKE_SOURCE)
    loss = reader.value("model.loss", parse_text, "binary_crossentropy")
    named = _LOSSES.get(loss, loss.removesuffix("_loss"))
    reader.put("training.loss", named, "model.loss", instead="bce")
    _metrics(reader)
    _optimizer(reader, network)
    _schedule(reader)
    pictures = reader.value("train.num_infer_images", parse_whole, 1)
    shown = [reader.value(name, switch, False) for name in _PICTURE_SWITCHES]
    sources = (*_PICTURE_SWITCHES, "train.num_infer_images")
    reader.put("training.epoch_pictures", pictures if any(shown) else 0, *sources)


def _steps(reader: Reader, batch: int, *, online: bool) -> None:
    """Batches in an epoch, and tiles that validate: counted where images are augmented online."""
    steps = reader.value("train.steps_per_epoch", parse_whole, 400)
    if online:
        reader.put("training.steps_per_epoch", steps, "train.steps_per_epoch")
        tiles = batch * reader.value("train.validation_steps", parse_whole, 800)
        remark = "validation_steps times batch_size"
        reader.put("training.validation_tiles", tiles, "train.validation_steps", words=remark)
        return
    remark = "not read without generator: there, an epoch was one pass over the images"
    given = [key for key in ("train.steps_per_epoch",) if reader.has(key)]
    reader.put("training.steps_per_epoch", steps, *given, words=remark)
    tiles = TrainingSettings.model_fields["validation_tiles"].default
    remark = "there, all validation images, resized; here at most so many tiles"
    reader.put("training.validation_tiles", tiles, words=remark)
    reader.add_note("ignored", "used with generator = True only", "train.validation_steps")


def _metrics(reader: Reader) -> None:
    """Metrics beside those that are always recorded."""
    none: list[str] = []
    asked = reader.value("model.metrics", texts, none)
    known = [name.removesuffix("_multiclass") for name in asked]
    watched = [name for name in WATCHED if name in known]
    strange = sorted(set(known) - {*WATCHED, *_ALWAYS})
    if strange:
        words = f"no metric here: {', '.join(map(shorten, strange[:_MOST_NAMED]))}"
        reader.add_note("unavailable", words, "model.metrics")
    remark = "beside dice_coef and dice, which are always recorded"
    reader.put("training.metrics", watched, "model.metrics", words=remark)


def _optimizer(reader: Reader, network: SourceNetwork) -> None:
    optimizer = reader.value("model.optimizer", parse_text, network.optimizer)
    remark = "" if reader.has("model.optimizer") else network.earlier
    default = network.optimizer
    reader.put("training.optimizer", optimizer, "model.optimizer", words=remark, instead=default)
    if reader.get("training.optimizer") == "AdamW":
        reader.put("training.weight_decay", _ADAMW_DECAY, words=_LIKE_SOURCE)
    rate = reader.value("model.learning_rate", finite, 1e-3)
    reader.put("training.learning_rate", rate, "model.learning_rate")
    clip = reader.value("model.clipvalue", finite, network.clipvalue)
    reader.put("training.clipvalue", clip, "model.clipvalue", instead=network.clipvalue)
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
