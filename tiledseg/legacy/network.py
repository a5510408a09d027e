"""Translation of the keys about the network."""

import re
from collections.abc import Callable

from tiledseg.config.architectures import ARCHITECTURES
from tiledseg.legacy.reader import Reader
from tiledseg.legacy.values import finite, first, parse_text, parse_whole, square, switch

_RENAMED = {
    "EfficientNetB7UNet": "EfficientUNet",
    "FlexUNet": "UNet",
    "SlightlyFlexibleUNet": "UNet",
}
_SIZES = (
    "base_filters", "base_kernels", "num_layers", "dilation", "normalization", "activation",
)  # fmt: skip
"""Settings that several architectures read, and others do not."""
_MOST_HEADS = 16


def translate_network(reader: Reader) -> None:
    """Put down the section ``model``, but for the loss and the optimizer."""
    named = reader.value("model.model", parse_text, "TensorflowUNet")
    named = re.sub("^tensorflow", "", named, flags=re.IGNORECASE)
    named = {known.casefold(): known for known in (*ARCHITECTURES, *_RENAMED)}.get(
        named.casefold(), named
    )
    reader.put("model.architecture", _RENAMED.get(named, named), "model.model", instead="UNet")
    classes = reader.value("model.num_classes", parse_whole, 1)
    reader.put("model.num_classes", classes, "model.num_classes", instead=1)
    architecture = reader.get("model.architecture")
    reads = ARCHITECTURES[architecture].reads
    for key in _SIZES:
        if not reads(key):
            reader.add_note("ignored", f"{architecture} has no such setting here", f"model.{key}")
    _sizes_of_several(reader, reads)
    _dropout(reader, reads)
    _sizes_of_one(reader, named, reads)
    _final_activation(reader)


def _final_activation(reader: Reader) -> None:
    several = reader.get("model.num_classes") > 1
    ours = "softmax" if several else "sigmoid"
    if reader.value("model.final_activation", parse_text, ours) != ours:
        ending = f"{'several classes' if several else 'one foreground class'} always: {ours}"
        reader.add_note("unavailable", ending, "model.final_activation")
    reader.add_note("ignored", f"a {ours}, always", "model.final_activation")


def _sizes_of_several(reader: Reader, reads: Callable[[str], bool]) -> None:
    """Settings that most architectures read."""
    if reads("base_filters"):
        filters = reader.value("model.base_filters", parse_whole, 16)
        reader.put("model.base_filters", filters, "model.base_filters", instead=16)
    if reads("base_kernels"):
        kernel = reader.value("model.base_kernels", square, 3)
        odd = kernel + 1 - kernel % 2
        remark = "" if odd == kernel else "made odd"
        reader.put("model.base_kernels", odd, "model.base_kernels", words=remark)
    if reads("num_layers"):
        layers = reader.value("model.num_layers", parse_whole, 5)
        reader.put("model.num_layers", layers, "model.num_layers")
    if reads("dilation"):
        reader.put("model.dilation", reader.value("model.dilation", square, 1), "model.dilation")
    if reads("normalization"):
        batch = reader.value("model.normalization", switch, False)
        reader.put("model.normalization", "batch" if batch else "none", "model.normalization")
    if reads("activation"):
        activation = reader.value("model.activation", parse_text, "relu").lower()  # "ReLU" is about
        reader.put("model.activation", activation, "model.activation", instead="relu")


def _sizes_of_one(reader: Reader, named: str, reads: Callable[[str], bool]) -> None:
    """Settings that one architecture reads, and the source program's names for them."""
    if reads("efficientnet"):
        size = (
            "B7" if "B7" in named else reader.value("model.efficientnet", parse_text, "B0").upper()
        )
        source = "model.model" if "B7" in named else "model.efficientnet"
        reader.put("model.efficientnet", size, source, instead="B0")
    if reads("encoder_weights") and reader.value("model.weights", parse_text, "none") == "imagenet":
        reader.put("model.encoder_weights", "imagenet", "model.weights")
    if reads("patch_size"):
        _windows(reader)
    if reads("num_transformer"):
        count = reader.value("model.num_transformer", parse_whole, 12)
        reader.put("model.num_transformer", count, "model.num_transformer")
        channels = reader.value("model.embed_dim", parse_whole, 768)
        reader.put("model.hidden_size", channels, "model.embed_dim")


def _windows(reader: Reader) -> None:
    """Of SwinUNet; a list has an item for each level, of which the first counts here."""
    patch = reader.value("model.patch_size", square, 4)
    reader.put("model.patch_size", patch, "model.patch_size")
    channels = reader.value("model.filter_num_begin", parse_whole, 96)
    reader.put("model.embed_dim", channels, "model.filter_num_begin")
    heads = reader.value("model.num_heads", first, 3)
    width = reader.get("model.embed_dim")
    most = min(max(heads, 1), _MOST_HEADS)
    shared = next(count for count in range(most, 0, -1) if width % count == 0)
    remark = "doubled at each deeper level" + ("" if shared == heads else "; it divides embed_dim")
    reader.put("model.num_heads", shared, "model.num_heads", words=remark)
    window = reader.value("model.window_size", first, 7)
    reader.put("model.window_size", window, "model.window_size", words="at every level")


def _dropout(reader: Reader, reads: Callable[[str], bool]) -> None:
    rate = reader.value("model.dropout_rate", finite, 0.0)
    if not reads("num_layers"):
        reader.put("model.dropout_rate", min(rate, 0.3), "model.dropout_rate")
        return
    layers = reader.get("model.num_layers")
    most = min(0.3, int(900 / layers) / 1000)
    reader.put(
        "model.dropout_rate",
        min(rate, most),
        "model.dropout_rate",
        words="counted from level 1 here, from level 0 there"
        + (f"; {rate} would drop everything at the bridge" if rate > most else ""),
    )
