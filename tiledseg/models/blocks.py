"""Pieces that architectures share."""

import keras
from keras import layers


def image_input(
    channels: int, precision: str, *, reduction: int = 1
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input of any size, and its intensities scaled from 0..255 to 0..1.

    With a reduction, squares of that many pixels a side are averaged.
    """
    image = keras.Input(shape=(None, None, channels), name="image")
    tensor = layers.Rescaling(1.0 / 255.0, dtype=precision, name="intensity")(image)
    if reduction > 1:
        tensor = layers.AveragePooling2D(reduction, dtype=precision, name="reduce")(tensor)
    return image, tensor


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


def probabilities(
    tensor: keras.KerasTensor, classes: int, *, reduction: int = 1
) -> keras.KerasTensor:
    """Probabilities per pixel, always in float32: of foreground (B, H, W, 1), or of each class.

    One class ends in a sigmoid; several end in a softmax over their channels, which add up to 1.

    With a reduction, the logits are enlarged by a learned filter that overlaps its neighbours,
    so that outlines are placed finer than the network's own grid.
    """
    if reduction == 1:
        logits = layers.Conv2D(classes, 1, dtype="float32", name="logits")(tensor)
    else:
        logits = layers.Conv2DTranspose(
            classes,
            2 * reduction,
            strides=reduction,
            padding="same",
            dtype="float32",
            name="logits",
        )(tensor)
    activation = "sigmoid" if classes == 1 else "softmax"
    return layers.Activation(activation, dtype="float32", name="probability")(logits)
