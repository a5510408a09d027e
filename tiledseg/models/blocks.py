"""Pieces that architectures share."""

import keras
from keras import layers


def image_input(channels: int, precision: str) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input of any size and its intensities scaled from 0..255 to 0..1."""
    image = keras.Input(shape=(None, None, channels), name="image")
    return image, layers.Rescaling(1.0 / 255.0, dtype=precision, name="intensity")(image)


def double_convolution(
    tensor: keras.KerasTensor,
    filters: int,
    *,
    kernel: int,
    dilation: int,
    activation: str,
    normalization: str,
    dropout: float,
    precision: str,
    name: str,
) -> keras.KerasTensor:
    """Two convolutions of the same width, with dropout between them.

    Shapes: (B, H, W, any) to (B, H, W, filters); padding keeps H and W.
    """
    for index in (1, 2):
        tensor = layers.Conv2D(
            filters,
            kernel,
            padding="same",
            dilation_rate=dilation,
            use_bias=normalization == "none",
            kernel_initializer="he_normal",
            dtype=precision,
            name=f"{name}_conv{index}",
        )(tensor)
        if normalization == "batch":
            tensor = layers.BatchNormalization(dtype=precision, name=f"{name}_norm{index}")(tensor)
        tensor = layers.Activation(activation, dtype=precision, name=f"{name}_{index}")(tensor)
        if index == 1 and dropout:
            tensor = layers.Dropout(dropout, dtype=precision, name=f"{name}_dropout")(tensor)
    return tensor


def probabilities(tensor: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    """Foreground probability per pixel and class, always in float32."""
    logits = layers.Conv2D(classes, 1, dtype="float32", name="logits")(tensor)
    return layers.Activation("sigmoid", dtype="float32", name="probability")(logits)
