"""Translation of the keys about the network."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiledseg.legacy.reader import Reader
from tiledseg.legacy.source_networks import (
    FIRST_TRANSUNET,
    MODEL_KEYS,
    SHARED_KEYS,
    SOURCE_NETWORKS,
    SourceNetwork,
)
from tiledseg.legacy.transformers import first_transunet, later_transunet, swin_unet
from tiledseg.legacy.values import finite, numbers, parse_text, parse_whole, square, switch

_FIRST_KEYS = ("hidden_size", "mlp_dim", "grid", "hybrid", "decoder_channels", "num_skip",
               "pretrain", "freeze_enc_cnn")  # fmt: skip
_LATER_KEYS = ("filter_num", "embed_dim", "num_transformer", "num_mlp")
"""Keys that tell the two networks apart which were called TransUNet."""
_MOST_DROPOUT = 0.3
_MOST_LEVELS = 8


def find_network(reader: Reader) -> tuple[str, SourceNetwork]:
    """The network that ``[model] model`` names, and its name; UNet where it is unknown."""
    named = reader.value("model.model", parse_text, "TensorflowUNet")
    named = re.sub("^tensorflow", "", named, flags=re.IGNORECASE)
    known = {name.casefold(): name for name in SOURCE_NETWORKS}
    name = known.get(named.casefold(), named)
    first = any(reader.has(f"model.{key}") for key in _FIRST_KEYS)
    later = any(reader.has(f"model.{key}") for key in _LATER_KEYS)
    if name == "TransUNet" and first and not later:
        name = FIRST_TRANSUNET
    return name, SOURCE_NETWORKS.get(name, SOURCE_NETWORKS["UNet"])


def translate_network(reader: Reader, name: str, network: SourceNetwork) -> None:
    """Put down the section ``model``, and say what its network does otherwise here.

    Args:
        reader: The file.
        name: What the file calls the network.
        network: What that is.
    """
    given = network.architecture if name in SOURCE_NETWORKS else name
    reader.put("model.architecture", given, "model.model", instead="UNet")
    classes = reader.value("model.num_classes", parse_whole, 1)
    reader.put("model.num_classes", classes, "model.num_classes", instead=1)
    for key, value in network.always.items():
        reader.put(f"model.{key}", value, words="always, there")
    for translate in _TRANSLATIONS[name if name in SOURCE_NETWORKS else "UNet"]:
        translate(reader)
    _note_the_ending(reader)
    shown = name if name in SOURCE_NETWORKS else network.architecture
    for key in sorted(MODEL_KEYS - network.reads - SHARED_KEYS):
        shown = f"{name}, in the source program," if name in SOURCE_NETWORKS else "UNet"
        reader.add_note(
            "ignored", f"{shown} does not read it{_fixed(key, network)}", f"model.{key}"
        )
    for words in network.differs:
        reader.tell("different", words)


def _fixed(key: str, network: SourceNetwork) -> str:
    """What a network always has in place of a key that it does not read."""
    own = "encoder_weights" if key == "weights" else key
    shown = key != "base_filters" and own in network.always
    return f": always {network.always[own]}" if shown else ""


def _note_the_ending(reader: Reader) -> None:
    several = reader.get("model.num_classes") > 1
    ours = "softmax" if several else "sigmoid"
    if reader.value("model.final_activation", parse_text, ours) != ours:
        ending = f"{'several classes' if several else 'one foreground class'} always: {ours}"
        reader.add_note("unavailable", ending, "model.final_activation")
    reader.add_note("elsewhere", f"a {ours}, always", "model.final_activation")


def _filters(reader: Reader) -> None:
    filters = reader.value("model.base_filters", parse_whole, 16)
    reader.put("model.base_filters", filters, "model.base_filters", instead=16)


def _layers(reader: Reader) -> None:
    layers = reader.value("model.num_layers", parse_whole, 5)
    reader.put("model.num_layers", layers, "model.num_layers")


def _stages(reader: Reader) -> None:
    """Of U²-Net: its published form has four stages that pool inside."""
    stages = reader.value("model.num_layers", parse_whole, 4)
    remark = "stages that pool inside; two that dilate follow"
    reader.put("model.num_stages", stages, "model.num_layers", words=remark)


def _kernels(reader: Reader) -> None:
    kernel = reader.value("model.base_kernels", square, 3)
    odd = kernel + 1 - kernel % 2
    remark = "" if odd == kernel else "made odd"
    reader.put("model.base_kernels", odd, "model.base_kernels", words=remark)


def _dilation(reader: Reader) -> None:
    reader.put("model.dilation", reader.value("model.dilation", square, 1), "model.dilation")


def _normalization(reader: Reader) -> None:
    batch = reader.value("model.normalization", switch, False)
    reader.put("model.normalization", "batch" if batch else "none", "model.normalization")


def _activation(reader: Reader) -> None:
    activation = reader.value("model.activation", parse_text, "relu").lower()  # "ReLU" is about
    reader.put("model.activation", activation, "model.activation", instead="relu")


def _dropout(reader: Reader, default: float = 0.0) -> None:
    """Of networks with levels; the deepest multiplies the rate where it grows."""
    rate = reader.value("model.dropout_rate", finite, default)
    grows = reader.get("model.dropout_growth") == "from_second"
    deepest = max(1, reader.get("model.num_layers") - 1) if grows else 1
    most = min(_MOST_DROPOUT, int(900 / deepest) / 1000)
    remark = ""
    if rate > most:
        remark = f"{rate} would drop everything at the bridge" if grows else "the most here"
    reader.put("model.dropout_rate", min(rate, most), "model.dropout_rate", words=remark)


def _attention_dropout(reader: Reader) -> None:
    _dropout(reader, default=0.1)


def _input(reader: Reader) -> None:
    if not reader.value("model.input_normalize", switch, True):
        words = "the network saw intensities of 0 to 255; here always 0 to 1"
        reader.add_note("unavailable", words, "model.input_normalize")
    reader.add_note("elsewhere", "always 0 to 1", "model.input_normalize")
    words = "everything random follows from training.seed"
    reader.add_note("elsewhere", words, "model.dropout_seed_fixing")


def _efficientnet(reader: Reader) -> None:
    size = reader.value("model.efficientnet", parse_text, "B0").upper()
    reader.put("model.efficientnet", size, "model.efficientnet", instead="B0")


def _sharp(reader: Reader) -> None:
    """SharpUNet lists the filters of its levels, and those of the bridge apart."""
    default = [32.0, 64.0, 128.0, 256.0]
    filters = (reader.value("model.filters", numbers, default) or default)[:_MOST_LEVELS]
    bridge = reader.value("model.max_filter", finite, 512.0)
    base = int(filters[0])
    doubled = [float(base * 2**level) for level in range(len(filters) + 1)]
    if [*filters, bridge] != doubled:
        words = f"filters {_list(filters)} and {bridge:g} at the bridge; here {_list(doubled)}"
        reader.tell("different", words)
    remark = "doubled at each deeper level"
    reader.put("model.base_filters", base, "model.filters", words=remark, instead=32)
    layers = len(filters) + 1
    reader.put("model.num_layers", layers, "model.filters", "model.max_filter")
    for key, source, words in (
        ("base_kernels", "model.base_ksize", "kernels have {} pixels at every level; here 2 less"),
        ("dilation", "model.dilation", "the dilation is {} at every level; here 1 less"),
    ):
        plain = 3 if key == "base_kernels" else 1
        side = reader.value(source, square, plain)
        odd = side + 1 - side % 2 if key == "base_kernels" else side
        reader.put(f"model.{key}", odd, source, instead=plain)
        if side > plain:
            reader.tell("different", f"{words.format(side)} at each deeper level")


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


_TRANSLATIONS: Mapping[str, tuple[Callable[[Reader], Any], ...]] = {
    **dict.fromkeys(
        ("UNet", "FlexUNet", "SlightlyFlexibleUNet"),
        (_filters, _kernels, _layers, _dilation, _normalization, _activation, _dropout, _input),
    ),
    "AttentionUNet": (_filters, _layers, _attention_dropout),
    "MultiResUNet": (_filters, _layers),
    "UNet3Plus": (_filters, _dropout),
    "EfficientUNet": (_efficientnet,),
    "EfficientNetB7UNet": (),
    "DeepLabV3Plus": (),
    "SwinUNet": (swin_unet,),
    "TransUNet": (later_transunet,),
    FIRST_TRANSUNET: (first_transunet,),
    "U2Net": (_filters, _stages),
    "SharpUNet": (_sharp,),
}
assert set(_TRANSLATIONS) == set(SOURCE_NETWORKS)
