"""Small networks with random weights, built here so that no other room is needed."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers


def build_unet(
    levels: int,
    *,
    filters: int = 4,
    kernel: int | tuple[int, int] = 3,
    dilation: int = 1,
    up: str = "transpose",
    norm: bool = False,
    channels: int = 3,
    seed: int = 0,
) -> keras.Model:
    """A U-Net whose probabilities spread over 0 to 1."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((None, None, channels))
    tensor = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    skips = []
    for level in range(levels):
        if level:
            tensor = layers.MaxPooling2D(2)(tensor)
        tensor = _convolve(tensor, filters * 2**level, kernel, dilation, norm)
        skips.append(tensor)
    for level in reversed(range(levels - 1)):
        tensor = _enlarge(tensor, filters * 2**level, up)
        tensor = layers.Concatenate()([tensor, skips[level]])
        tensor = _convolve(tensor, filters * 2**level, kernel, dilation, norm)
    model = keras.Model(image, layers.Activation("sigmoid")(layers.Conv2D(1, 1)(tensor)))
    rng = np.random.default_rng(seed)
    _randomise_norms(model, rng)
    _spread_probabilities(model, rng.integers(0, 256, (1, 64, 64, channels)))
    return model


def _convolve(tensor, filters, kernel, dilation, norm):
    tensor = layers.Conv2D(
        filters,
        kernel,
        padding="same",
        dilation_rate=dilation,
        kernel_initializer="he_normal",
        bias_initializer=keras.initializers.RandomNormal(stddev=0.2),
    )(tensor)
    if norm:
        tensor = layers.BatchNormalization()(tensor)
    return layers.SpatialDropout2D(0.1)(layers.ReLU()(tensor))


def _enlarge(tensor, filters, up):
    if up == "transpose":
        return layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(tensor)
    if up == "transpose3":
        return layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(tensor)
    return layers.UpSampling2D(2, interpolation=up)(tensor)


def _randomise_norms(model, rng):
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.gamma.assign(rng.uniform(0.5, 2.0, shape))
            layer.beta.assign(rng.normal(0.0, 0.3, shape))
            layer.moving_mean.assign(rng.normal(0.0, 0.3, shape))
            layer.moving_variance.assign(rng.uniform(0.5, 2.0, shape))


def _spread_probabilities(model, images):
    """Scale the last convolution so that half of the logits are positive, with deviation 2."""
    last = model.layers[-2]
    logits = keras.ops.convert_to_numpy(keras.Model(model.input, last.output)(images))
    scale = 2.0 / logits.std()
    last.kernel.assign(last.kernel * scale)
    last.bias.assign([-np.median(logits) * scale])


@pytest.fixture
def make_unet() -> Callable[..., keras.Model]:
    return build_unet


@pytest.fixture
def make_model() -> Callable[..., keras.Model]:
    """A model of one input of C channels from a function of its tensor."""

    def make(body: Callable[[keras.KerasTensor], keras.KerasTensor], channels: int = 3):
        image = keras.Input((None, None, channels))
        return keras.Model(image, body(image))

    return make


@pytest.fixture
def identity(make_model) -> keras.Model:
    return make_model(layers.Identity())


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """Uint8 noise with some smooth structure in it, (height, width, channels)."""

    def make(height: int, width: int, channels: int = 3) -> np.ndarray:
        rng = np.random.default_rng(height * 10007 + width)
        waves = np.sin(np.arange(height)[:, None] / 9) * np.cos(np.arange(width) / 7)
        grain = rng.uniform(-60, 60, (height, width, channels))
        return (127.5 + 60 * waves[..., None] + grain).astype(np.uint8)

    return make
