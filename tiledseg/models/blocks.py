"""Pieces that architectures share.

Layers compute in the precision that ``build_model`` has set; intensities and probabilities are
float32.
"""

import keras
from keras import layers

NORM_MOMENTUM = 0.9
"""How much of their old value the running means of batch normalization keep at each step.

PyTorch's default. With Keras's 0.99 they follow the weights hundreds of steps late, and what is
validated until then is another network than the one that learns.
"""


def image_input(
    channels: int, *, reduction: int = 1
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input of any size, and its intensities scaled from 0..255 to 0..1.

    With a reduction, squares of that many pixels a side are averaged.
    """
    image = keras.Input(shape=(None, None, channels), name="image", dtype="float32")
    tensor = layers.Rescaling(1.0 / 255.0, name="intensity")(image)
    if reduction > 1:
        tensor = layers.AveragePooling2D(reduction, name="reduce")(tensor)
    return image, tensor


def convolution(
    tensor: keras.KerasTensor,
    filters: int,
    *,
    name: str,
    activation: str = "relu",
    normalization: str = "batch",
    kernel: int = 3,
    dilation: int = 1,
    bias: bool | None = None,
    scale: bool = True,
) -> keras.KerasTensor:
    """A convolution that keeps H and W, its normalization and its activation.

    Args:
        tensor: (B, H, W, any).
        filters: Channels of the answer.
        name: The layers are called ``NAME_conv``, ``NAME_norm`` and ``NAME``.
        activation: By its name in Keras.
        normalization: ``batch`` or ``none``.
        kernel: Its side.
        dilation: Distance of the pixels that the kernel reads.
        bias: Whether the convolution has one; by default where no normalization follows. Several
            published networks have one all the same.
        scale: Whether the normalization learns a factor.

    Returns:
        (B, H, W, filters).
    """
    tensor = layers.Conv2D(
        filters,
        kernel,
        padding="same",
        dilation_rate=dilation,
        use_bias=normalization == "none" if bias is None else bias,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(tensor)
    if normalization == "batch":
        tensor = normalize(tensor, f"{name}_norm", scale=scale)
    return layers.Activation(activation, name=name)(tensor)


def normalize(tensor: keras.KerasTensor, name: str, *, scale: bool = True) -> keras.KerasTensor:
    """Batch normalization, shape kept; with or without a factor that is learned."""
    return layers.BatchNormalization(momentum=NORM_MOMENTUM, scale=scale, name=name)(tensor)


def dropout(tensor: keras.KerasTensor, rate: float, name: str) -> keras.KerasTensor:
    """Dropout, or nothing at all where the rate is 0."""
    return layers.Dropout(rate, name=name)(tensor) if rate else tensor


def double_convolution(
    tensor: keras.KerasTensor,
    filters: int,
    *,
    kernel: int = 3,
    dilation: int = 1,
    activation: str,
    normalization: str = "batch",
    bias: bool | None = None,
    rate: float,
    name: str,
) -> keras.KerasTensor:
    """Two convolutions of the same width, with dropout between them; see ``convolution``.

    Shapes: (B, H, W, any) to (B, H, W, filters); padding keeps H and W.
    """
    for index in (1, 2):
        tensor = convolution(
            tensor,
            filters,
            name=f"{name}_{index}",
            activation=activation,
            normalization=normalization,
            kernel=kernel,
            dilation=dilation,
            bias=bias,
        )
        if index == 1:
            tensor = dropout(tensor, rate, f"{name}_dropout")
    return tensor


def enlarge(
    tensor: keras.KerasTensor, factor: int, name: str, *, dtype: str | None = None
) -> keras.KerasTensor:
    """Bilinear enlargement by a power of 2; the tensor itself for 1."""
    if factor == 1:
        return tensor
    return layers.UpSampling2D(factor, interpolation="bilinear", name=name, dtype=dtype)(tensor)


def probabilities(
    tensor: keras.KerasTensor, classes: int, *, reduction: int = 1, kernel: int = 1
) -> keras.KerasTensor:
    """Probabilities per pixel, always in float32: of foreground (B, H, W, 1), or of each class.

    One class ends in a sigmoid; several end in a softmax over their channels, which add up to 1.
    With a reduction, the logits are enlarged by a learned filter that overlaps its neighbors,
    so that outlines are placed finer than the network's own grid.
    """
    if reduction == 1:
        logits = layers.Conv2D(classes, kernel, padding="same", dtype="float32", name="logits")(
            tensor
        )
    else:
        logits = layers.Conv2DTranspose(
            classes,
            2 * reduction,
            strides=reduction,
            padding="same",
            dtype="float32",
            name="logits",
        )(tensor)
    return to_probabilities(logits)


def to_probabilities(logits: keras.KerasTensor) -> keras.KerasTensor:
    """Sigmoid of one channel, softmax over several, in float32."""
    activation = "sigmoid" if logits.shape[-1] == 1 else "softmax"
    return layers.Activation(activation, dtype="float32", name="probability")(logits)
