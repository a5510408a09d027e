"""Which settings each architecture reads, and facts about it that need no network to be known."""

from collections.abc import Mapping
from dataclasses import dataclass

_EVERY = frozenset({"architecture", "num_classes", "dropout_rate"})
_LEVELS = frozenset({"base_filters", "num_layers", "activation", "dropout_growth"})
_UNET = _LEVELS | {"base_kernels", "reduction", "dilation", "normalization"}
_DECODER = frozenset({"base_filters", "activation"})
_ENCODER = frozenset({"encoder_weights", "trained_encoder_layers"})


@dataclass(frozen=True)
class Architecture:
    """An architecture, and what it is like with its default settings.

    Attributes:
        title: What the literature calls it.
        paper: Authors, title and place of its description.
        keys: Settings of the section ``model`` that it reads beyond those that all read.
        parameters: Weights with default settings and three channels, trained or not.
        stride: Sides of its input are multiples of this, in pixels, with default settings.
        halo: Context that an output needs on each side with default settings, in pixels; None
            where an output depends on the whole input, so that no tiling is exact.
        remark: Why it is not exact, or what makes it so.
    """

    title: str
    paper: str
    keys: frozenset[str]
    parameters: int
    stride: int
    halo: int | None
    remark: str = ""

    def reads(self, key: str) -> bool:
        """Whether a setting has an effect on this architecture."""
        return key in self.keys or key in _EVERY


ARCHITECTURES: Mapping[str, Architecture] = {
    "UNet": Architecture(
        title="U-Net",
        paper="Ronneberger, Fischer & Brox, U-Net: Convolutional Networks for Biomedical Image "
        "Segmentation, MICCAI 2015",
        keys=_UNET,
        parameters=1_945_521,
        stride=16,
        halo=107,
    ),
    "AttentionUNet": Architecture(
        title="Attention U-Net",
        paper="Oktay et al., Attention U-Net: Learning Where to Look for the Pancreas, MIDL 2018",
        keys=_UNET,
        parameters=2_188_653,
        stride=16,
        halo=122,
    ),
    "MultiResUNet": Architecture(
        title="MultiResUNet",
        paper="Ibtehaz & Rahman, MultiResUNet: Rethinking the U-Net architecture for multimodal "
        "biomedical image segmentation, Neural Networks 121, 2020 (arXiv 2019)",
        keys=_LEVELS,
        parameters=1_813_875,
        stride=16,
        halo=153,
    ),
    "UNet3Plus": Architecture(
        title="UNet 3+",
        paper="Huang et al., UNet 3+: A Full-Scale Connected UNet for Medical Image Segmentation, "
        "ICASSP 2020",
        keys=_LEVELS | {"normalization", "deep_supervision"},
        parameters=1_693_537,
        stride=16,
        halo=123,
    ),
    "EfficientUNet": Architecture(
        title="U-Net on an EfficientNet encoder",
        paper="Tan & Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural "
        "Networks, ICML 2019; decoder of Ronneberger et al., 2015",
        keys=_DECODER | _ENCODER | {"efficientnet"},
        parameters=10_115_373,
        stride=32,
        halo=None,
        remark="squeeze and excitation averages over the whole input",
    ),
    "DeepLabV3Plus": Architecture(
        title="DeepLabv3+ on a ResNet-50 encoder",
        paper="Chen et al., Encoder-Decoder with Atrous Separable Convolution for Semantic Image "
        "Segmentation, ECCV 2018; He et al., Deep Residual Learning, CVPR 2016",
        keys=_DECODER | _ENCODER | {"output_stride", "image_pooling"},
        parameters=26_761_457,
        stride=16,
        halo=None,
        remark="image pooling averages over the whole input; exact with image_pooling: false",
    ),
    "SwinUNet": Architecture(
        title="Swin-Unet",
        paper="Cao et al., Swin-Unet: Unet-like Pure Transformer for Medical Image Segmentation, "
        "ECCV Workshops 2022 (arXiv 2021)",
        keys=frozenset(
            {"patch_size", "window_size", "embed_dim", "num_heads", "num_stages", "mlp_nodes"}
        ),
        parameters=27_168_133,
        stride=32,
        halo=None,
        remark="attention sees windows that are counted from the input's corner",
    ),
    "TransUNet": Architecture(
        title="TransUNet",
        paper="Chen et al., TransUNet: Transformers Make Strong Encoders for Medical Image "
        "Segmentation, arXiv 2021",
        keys=_DECODER | {"hidden_size", "num_transformer", "transformer_heads", "mlp_nodes"},
        parameters=105_278_801,
        stride=16,
        halo=None,
        remark="attention, group normalization and positions span the whole input",
    ),
    "U2Net": Architecture(
        title="U²-Net",
        paper="Qin et al., U²-Net: Going Deeper with Nested U-Structure for Salient Object "
        "Detection, Pattern Recognition 106, 2020",
        keys=_DECODER | {"normalization", "compact", "num_stages"},
        parameters=2_768_845,
        stride=32,
        halo=3326,
        remark="pools within pools: its halo is larger than most tiles; set tiling.mode: blend",
    ),
    "SharpUNet": Architecture(
        title="Sharp U-Net",
        paper="Zunair & Ben Hamza, Sharp U-Net: Depthwise Convolutional Network for Biomedical "
        "Image Segmentation, Computers in Biology and Medicine 136, 2021",
        keys=_UNET,
        parameters=1_947_681,
        stride=16,
        halo=107,
    ),
}
"""By the name that ``model.architecture`` takes."""
