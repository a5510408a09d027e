"""Translation of the keys of networks with attention: SwinUNet and the two called TransUNet."""

from collections.abc import Sequence
from typing import Any

from tiledseg.config import ModelSettings
from tiledseg.legacy.reader import Reader
from tiledseg.legacy.values import UnreadableValueError, finite, numbers, parse_whole, square

_MOST_HEADS = 16
_MOST_TRANSFORMER_HEADS = 32
_AS_HERE = "always so here"


def swin_unet(reader: Reader) -> None:
    """SwinUNet; its lists have an item for each level, of which the first counts here."""
    patch = reader.value("model.patch_size", square, 4)
    reader.put("model.patch_size", patch, "model.patch_size")
    depth = reader.value("model.depth", parse_whole, 4)
    reader.put("model.num_stages", depth, "model.depth")
    channels = reader.value("model.filter_num_begin", parse_whole, 128)
    reader.put("model.embed_dim", channels, "model.filter_num_begin")
    stages = reader.get("model.num_stages")
    _heads_of_levels(reader, stages)
    windows = reader.value("model.window_size", _wholes, [7])
    reader.put("model.window_size", windows[0], "model.window_size", words="at every level")
    _compare_levels(reader, "windows", windows, [reader.get("model.window_size")] * stages)
    nodes = reader.value("model.num_mlp", parse_whole, 512)
    reader.put("model.mlp_nodes", nodes, "model.num_mlp")
    for key in ("stack_num_down", "stack_num_up"):
        keep_equal(reader, key, 2, "two blocks at every level, as published")
    keep_equal(reader, "shift_window", True, "every second block shifts its windows")
    if not reader.has("model.shift_window"):
        words = "windows are not shifted where the file has no shift_window; here always"
        reader.tell("different", words)


def later_transunet(reader: Reader) -> None:
    """The TransUNet from March 2024 on, whose encoder was a U-Net's."""
    count = reader.value("model.num_transformer", parse_whole, 12)
    reader.put("model.num_transformer", count, "model.num_transformer")
    channels = reader.value("model.embed_dim", parse_whole, 768)
    _put_transformer(reader, channels, "model.embed_dim", heads=12, nodes=("model.num_mlp", 3072))
    words = "the encoder here is a ResNet-50, as published, and the decoder has its widths"
    reader.add_note("unavailable", words, "model.filter_num")
    for key in ("stack_num_down", "stack_num_up"):
        words = "the decoder's levels here have two convolutions, and the encoder is a ResNet-50"
        reader.add_note("unavailable", words, f"model.{key}")
    keep_equal(reader, "batch_norm", True, "the decoder here always has batch normalization")
    keep_equal(reader, "pool", True, "pooled by maxima, enlarged bilinearly")
    keep_equal(reader, "mlp_activation", "GELU", "as published")
    backbone = reader.value("model.backbone", lambda value: value, None)
    if backbone is not None:
        words = "the encoder here is a ResNet-50, drawn at random"
        reader.add_note("unavailable", words, "model.backbone", *_BACKBONE)
    reader.add_note("elsewhere", "none here either", "model.backbone")
    reader.add_note("ignored", "used with a backbone only", *_BACKBONE)


_BACKBONE = ("model.weights", "model.freeze_backbone", "model.freeze_batch_norm")


def first_transunet(reader: Reader) -> None:
    """The TransUNet until March 2024, a ResNet-50 with a transformer as here."""
    count = reader.value("model.num_layers", parse_whole, 12)
    reader.put("model.num_transformer", count, "model.num_layers")
    channels = reader.value("model.hidden_size", parse_whole, 612)
    _put_transformer(reader, channels, "model.hidden_size", heads=6, nodes=("model.mlp_dim", 1280))
    rate = reader.value("model.dropout_rate", finite, 0.1)
    reader.put("model.dropout_rate", min(rate, 0.3), "model.dropout_rate")
    keep_equal(reader, "grid", (14, 14), "positions of a grid of 14 x 14")
    keep_equal(reader, "hybrid", True, "always with a ResNet-50")
    keep_equal(reader, "num_skip", 3, "three skip connections")
    keep_equal(reader, "decoder_channels", [256, 128, 64, 16], "256, 128, 64 and 16 filters")
    keep_equal(reader, "pretrain", False, "all weights are drawn at random")
    keep_equal(reader, "freeze_enc_cnn", False, "the ResNet-50 learns here")
    if not reader.has("model.freeze_enc_cnn"):
        words = "the ResNet-50 does not learn where the file has no freeze_enc_cnn; here it does"
        reader.tell("different", words)


def keep_equal(reader: Reader, key: str, ours: Any, words: str) -> None:
    """Note whether a key of ``[model]`` says what is always so here."""
    name = f"model.{key}"
    value = reader.value(name, lambda given: given, ours)
    if value == ours:
        reader.add_note("elsewhere", _AS_HERE, name)
    else:
        reader.add_note("unavailable", f"here always: {words}", name)


def _put_transformer(
    reader: Reader, channels: int, source: str, *, heads: int, nodes: tuple[str, int]
) -> None:
    least = ModelSettings.model_fields["hidden_size"].default
    reader.put("model.hidden_size", channels, source, instead=least)
    wanted = reader.value("model.num_heads", parse_whole, heads)
    shared = _largest_divisor(reader.get("model.hidden_size"), wanted, _MOST_TRANSFORMER_HEADS)
    remark = "" if shared == wanted else f"{wanted} heads do not share the channels evenly"
    reader.put("model.transformer_heads", shared, "model.num_heads", words=remark)
    name, default = nodes
    reader.put("model.mlp_nodes", reader.value(name, parse_whole, default), name)


def _heads_of_levels(reader: Reader, stages: int) -> None:
    heads = reader.value("model.num_heads", _wholes, [4, 8, 8, 8])
    shared = _largest_divisor(reader.get("model.embed_dim"), heads[0], _MOST_HEADS)
    remark = "doubled at each deeper level" + ("" if shared == heads[0] else "; divides embed_dim")
    reader.put("model.num_heads", shared, "model.num_heads", words=remark)
    ours = [shared * 2**level for level in range(stages)]
    _compare_levels(reader, "heads of attention", heads, ours)


def _compare_levels(reader: Reader, what: str, there: Sequence[int], here: Sequence[int]) -> None:
    if len(there) > 1 and list(there[: len(here)]) != list(here):
        shown = [", ".join(map(str, values)) for values in (there, here)]
        reader.tell("different", f"{what} from level to level: {shown[0]}; here {shown[1]}")


def _largest_divisor(whole: int, most: int, limit: int) -> int:
    """The largest divisor of a number that is at most as wanted."""
    largest = min(max(most, 1), limit)
    return next(count for count in range(largest, 0, -1) if whole % count == 0)


def _wholes(value: Any) -> list[int]:
    """A list of whole numbers, or one of them; not empty."""
    found = [parse_whole(number) for number in numbers(value)]
    if not found:
        raise UnreadableValueError("not a number, nor a list of them")
    return found
