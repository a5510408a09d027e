"""The networks of the source program: what each reads, what it always has, what differs here.

Facts are those of the program's public code of 2023 and 2024, in its last form where it changed.
``docs/import-config.md`` shows the same table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_BYTES = "the network saw intensities of 0 to 255; here 0 to 1"
_PLAIN: Mapping[str, Any] = {"activation": "relu", "dropout_rate": 0.0}


@dataclass(frozen=True)
class SourceNetwork:
    """A network of the source program.

    Attributes:
        architecture: The one here that it becomes.
        reads: Keys of ``[model]`` that it reads, beside those that every network reads.
        required: Those of them without a default.
        always: Settings here that no key of the file changes.
        differs: What it does otherwise, whatever the file says.
        optimizer: Its default.
        clipvalue: Its default.
        earlier: What the optimizer's default was before, if it changed.
    """

    architecture: str
    reads: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    always: Mapping[str, Any] = field(default_factory=dict)
    differs: tuple[str, ...] = ()
    optimizer: str = "Adam"
    clipvalue: float = 0.2
    earlier: str = ""


SHARED_KEYS = frozenset({
    "model", "generator", "image_width", "image_height", "image_channels", "num_classes",
    "learning_rate", "clipvalue", "optimizer", "loss", "metrics", "show_summary",
})  # fmt: skip
"""Keys of ``[model]`` that every network reads."""

_UNET = SourceNetwork(
    "UNet",
    frozenset({
        "base_filters", "num_layers", "dropout_rate", "base_kernels", "dilation", "normalization",
        "activation", "dropout_seed_fixing", "input_normalize", "final_activation",
    }),
    frozenset({"base_filters", "num_layers", "dropout_rate"}),
    {"dropout_growth": "from_second"},
)  # fmt: skip
FIRST_TRANSUNET = "TransUNet until March 2024"
SOURCE_NETWORKS: Mapping[str, SourceNetwork] = {
    "UNet": _UNET,
    "FlexUNet": _UNET,
    "SlightlyFlexibleUNet": _UNET,
    "AttentionUNet": SourceNetwork(
        "AttentionUNet",
        frozenset({"base_filters", "num_layers", "dropout_rate"}),
        frozenset({"base_filters", "num_layers"}),
        {
            "base_kernels": 3,
            "dilation": 1,
            "normalization": "batch",
            "activation": "relu",
            "dropout_growth": "none",
        },
        (
            f"{_BYTES}, as there until March 2024",
            "dropout lies behind a block's second convolution and in the gates; here between the "
            "convolutions",
            "enlarged bilinearly, without a convolution; gates have as many filters as their "
            "level, and one for each channel; here half as many, and one gate for all channels",
        ),
    ),
    "MultiResUNet": SourceNetwork(
        "MultiResUNet",
        frozenset({"base_filters", "num_layers"}),
        frozenset({"base_filters", "num_layers"}),
        _PLAIN,
        ("residual paths have one step more at every level",),
    ),
    "UNet3Plus": SourceNetwork(
        "UNet3Plus",
        frozenset({"base_filters", "dropout_rate"}),
        frozenset({"base_filters", "num_layers", "dropout_rate"}),
        {
            "num_layers": 5,
            "normalization": "batch",
            "activation": "relu",
            "dropout_growth": "none",
        },
        (
            _BYTES,
            "dropout lies behind every convolution, with twice the rate behind the second of two; "
            "here behind each level of the encoder",
            "kernels are held small by an L2 penalty of 0.0001; here they are not",
        ),
        earlier="AdamW until March 2024",
    ),
    "EfficientUNet": SourceNetwork(
        "EfficientUNet",
        frozenset({"efficientnet"}),
        always={**_PLAIN, "base_filters": 16, "encoder_weights": "imagenet"},
        differs=(
            "levels of the decoder have a shortcut and as many filters as the encoder's tensor "
            "they join, and the last joins the image; here base_filters, doubled at each level",
        ),
    ),
    "EfficientNetB7UNet": SourceNetwork(
        "EfficientUNet",
        always={
            **_PLAIN,
            "efficientnet": "B7",
            "base_filters": 32,
            "encoder_weights": "imagenet",
            "trained_encoder_layers": 61,
        },
        differs=(
            "the decoder begins at the last stage's widened tensor, enlarges by transposed "
            "convolutions and joins the image; here at the encoder's end, bilinearly",
        ),
    ),
    "DeepLabV3Plus": SourceNetwork(
        "DeepLabV3Plus",
        always={**_PLAIN, "base_filters": 16, "encoder_weights": "imagenet"},
        differs=(
            "the encoder saw intensities of 0 to 255; here ImageNet's means are taken off",
            "the pyramid stands on the fourth stage and has plain convolutions; here on the fifth, "
            "dilated, with separable ones",
        ),
    ),
    "SwinUNet": SourceNetwork(
        "SwinUNet",
        frozenset({
            "filter_num_begin", "depth", "stack_num_down", "stack_num_up", "patch_size",
            "num_heads", "window_size", "num_mlp", "shift_window",
        }),
        frozenset({"window_size"}),
        {"dropout_rate": 0.0},
        (
            _BYTES,
            "a vector is learned for every place of the input; here the attention's relative "
            "positions alone",
        ),
    ),
    "TransUNet": SourceNetwork(
        "TransUNet",
        frozenset({
            "filter_num", "stack_num_down", "stack_num_up", "embed_dim", "num_mlp", "num_heads",
            "num_transformer", "mlp_activation", "batch_norm", "pool", "backbone", "weights",
            "freeze_backbone", "freeze_batch_norm",
        }),
        always={**_PLAIN, "base_filters": 16},
        differs=(
            _BYTES,
            "the encoder is a U-Net's, with filter_num and without normalization, and the "
            "transformer stands on an eighth of the image's size; here, as published, a ResNet-50 "
            "with group normalization, and a sixteenth",
            "a head of attention has embed_dim channels; here embed_dim / num_heads",
        ),
        earlier="AdamW until March 2024",
    ),
    FIRST_TRANSUNET: SourceNetwork(
        "TransUNet",
        frozenset({
            "num_layers", "hidden_size", "num_heads", "mlp_dim", "dropout_rate", "grid", "hybrid",
            "num_skip", "decoder_channels", "pretrain", "freeze_enc_cnn", "final_activation",
        }),
        frozenset({"num_layers"}),
        {"activation": "relu", "base_filters": 16},
        (_BYTES,),
        optimizer="AdamW",
        clipvalue=0.5,
    ),
    "U2Net": SourceNetwork(
        "U2Net",
        frozenset({"base_filters", "num_layers"}),
        frozenset({"base_filters", "num_layers"}),
        {**_PLAIN, "normalization": "none"},
        (
            _BYTES,
            "the decoder's pooling stages are as wide as the encoder's; here, as published, half "
            "as wide",
        ),
        earlier="AdamW until March 2024",
    ),
    "SharpUNet": SourceNetwork(
        "SharpUNet",
        frozenset({"filters", "max_filter", "base_ksize", "dilation"}),
        always={**_PLAIN, "normalization": "none"},
        differs=(_BYTES,),
    ),
}  # fmt: skip
"""By the name behind ``Tensorflow`` in ``[model] model``."""

MODEL_KEYS = frozenset({
    "base_dilation", "batch_norm", "filter_num_aggregate", "filter_num_down", "filter_num_skip",
    "filter_num_up", "kernel_size", "ksize", "patch_size", "sharp_ksize", "activation",
    *(key for network in SOURCE_NETWORKS.values() for key in network.reads),
})  # fmt: skip
"""Keys of ``[model]`` in public files that some network reads, or none does any more."""
