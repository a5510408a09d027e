"""Architectures by name, and the one function that builds them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import keras

from tiledseg.config import ModelSettings
from tiledseg.models.attention_unet import build_attention_unet
from tiledseg.models.deeplab import build_deeplab
from tiledseg.models.efficient_unet import build_efficient_unet
from tiledseg.models.encoders import load_encoder_weights
from tiledseg.models.multires_unet import build_multires_unet
from tiledseg.models.sharp_unet import build_sharp_unet
from tiledseg.models.swin_unet import build_swin_unet
from tiledseg.models.trans_unet import build_trans_unet
from tiledseg.models.u2net import build_u2net
from tiledseg.models.unet import build_unet
from tiledseg.models.unet3plus import build_unet3plus

Builder = Callable[[ModelSettings, int], keras.Model]

BUILDERS: Mapping[str, Builder] = {
    "UNet": build_unet,
    "AttentionUNet": build_attention_unet,
    "MultiResUNet": build_multires_unet,
    "UNet3Plus": build_unet3plus,
    "EfficientUNet": build_efficient_unet,
    "DeepLabV3Plus": build_deeplab,
    "SwinUNet": build_swin_unet,
    "TransUNet": build_trans_unet,
    "U2Net": build_u2net,
    "SharpUNet": build_sharp_unet,
}


def build_model(
    settings: ModelSettings,
    channels: int,
    *,
    precision: str = "float32",
    pretrained: bool = False,
) -> keras.Model:
    """Build a network with fresh weights.

    Args:
        settings: The architecture's name and sizes.
        channels: Channels of the input image, 1 or 3.
        precision: A Keras dtype policy, for example ``mixed_bfloat16``.
        pretrained: Load what ``settings.encoder_weights`` names into the encoder; otherwise all
            weights are drawn, as for a network whose weights come from a file anyway.

    Returns:
        A functional model from images (B, H, W, channels), 0 to 255 in any dtype, to
        probabilities (B, H, W, num_classes) float32. H and W are multiples of
        ``settings.stride``.

    Raises:
        ExperimentError: The encoder's weights cannot be had.
    """
    with _precision(precision):
        model = BUILDERS[settings.architecture](settings, channels)
    if pretrained:
        load_encoder_weights(model, settings)
    return model


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Layers that are made in this context compute in a policy; others keep theirs."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
