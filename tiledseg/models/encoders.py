"""Encoders of keras.applications: their graphs, and their initial weights.

Images come in as 0..255; the preprocessing that an encoder's published weights were trained
with is part of the graph.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.errors import ExperimentError
from tiledseg.models.blocks import NORM_MOMENTUM

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
"""Of intensities in 0..1, red first; EfficientNet's."""
RESNET_MEAN = (123.68, 116.779, 103.939)
"""Of intensities in 0..255, red first; ResNet's weights were made with these."""

EFFICIENTNET_URL = "https://storage.googleapis.com/keras-applications/"
RESNET_URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"

Edit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class WeightFile:
    """Published weights without the classifier, and their MD5 sum."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]

    @property
    def path(self) -> Path:
        """Where Keras keeps it."""
        return keras_home() / "models" / self.name


_EFFICIENTNET_SUMS = {
    "B0": "50bc09e76180e00e4465e1a485ddc09d",
    "B1": "74c4e6b3e1f6a1eea24c589628592432",
    "B2": "111f8e2ac8aa800a7a99e3239f7bfb39",
    "B3": "af6d107764bb5b1abb91932881670226",
    "B4": "ebc24e6d6c33eaebbd558eafbeedf1ba",
    "B5": "38879255a25d3c92d5e44e04ae6cec6f",
    "B6": "9ecce42647a20130c1f39a5d4cb75743",
    "B7": "cbcfe4450ddf6f3ad90b1b398090fe4a",
}
PUBLISHED = {
    "ResNet50": WeightFile(
        f"{RESNET_URL}resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "4d473c1dd8becc155b73f8504c6f6626",
    )
} | {
    f"EfficientNet{size}": WeightFile(f"{EFFICIENTNET_URL}efficientnet{size.lower()}_notop.h5", md5)
    for size, md5 in _EFFICIENTNET_SUMS.items()
}
"""By the encoder's name in ``keras.applications``."""


def keras_home() -> Path:
    """The folder of Keras's downloads."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def encoder_name(settings: ModelSettings) -> str | None:
    """The name in ``keras.applications``; None for architectures without such an encoder."""
    if settings.architecture == "EfficientUNet":
        return f"EfficientNet{settings.efficientnet}"
    return "ResNet50" if settings.architecture == "DeepLabV3Plus" else None


def efficientnet_encoder(settings: ModelSettings, channels: int) -> keras.Model:
    """EfficientNet without its classifier, from 0..255 (B, H, W, channels).

    Its normalization is set to that of the published weights, which divides by the deviation
    and by its root, and so by the root of the deviation's cube.
    """

    def edit(layer: dict[str, Any]) -> None:
        if layer["class_name"] == "Normalization":
            layer["config"]["mean"] = list(IMAGENET_MEAN)
            layer["config"]["variance"] = [deviation**3 for deviation in IMAGENET_DEVIATION]

    application = getattr(keras.applications, f"EfficientNet{settings.efficientnet}")
    return _edit(application, channels, edit, lambda tensor: tensor)


def resnet50_encoder(settings: ModelSettings, channels: int) -> keras.Model:
    """ResNet-50 without its classifier, from 0..255 (B, H, W, channels).

    The last stages keep their input's size and are dilated instead, so that the answer is
    reduced by ``output_stride`` only. Means are taken off as for the published weights, which
    want blue first: ``load_encoder_weights`` turns the first kernel around for that.
    """
    dilations = {"conv5": 2} if settings.output_stride == 16 else {"conv4": 2, "conv5": 4}

    def edit(layer: dict[str, Any]) -> None:
        stage = layer["config"]["name"].partition("_")[0]
        if layer["class_name"] != "Conv2D" or stage not in dilations:
            return
        layer["config"]["strides"] = (1, 1)
        if layer["config"]["name"].endswith("_2_conv"):
            layer["config"]["dilation_rate"] = (dilations[stage],) * 2

    def center(tensor: keras.KerasTensor) -> keras.KerasTensor:
        offsets = [-mean for mean in RESNET_MEAN]
        return layers.Rescaling(1.0, offset=offsets, name="intensity")(tensor)

    return _edit(keras.applications.ResNet50, channels, edit, center)


def _edit(
    application: Callable[..., keras.Model],
    channels: int,
    edit: Edit,
    preprocess: Callable[[keras.KerasTensor], keras.KerasTensor],
) -> keras.Model:
    """An application's graph with some of its layers changed; gray images are shown as color."""
    with keras.StatelessScope(initialize_variables=False):
        image = keras.Input(shape=(None, None, channels), name="image", dtype="float32")
        color = image
        if channels == 1:
            color = layers.Concatenate(name="color")([image, image, image])
        plain = application(include_top=False, weights=None, input_tensor=preprocess(color))
        config = plain.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "BatchNormalization":
            layer["config"]["momentum"] = NORM_MOMENTUM
        edit(layer)
    return keras.Model.from_config(config)


def freeze_first_layers(encoder: keras.Model, trained: int | None) -> None:
    """Let only the last layers of an encoder learn; None lets all of them."""
    if trained is not None:
        for layer in encoder.layers[: max(0, len(encoder.layers) - trained)]:
            layer.trainable = False


def require_encoder_weights(settings: ModelSettings) -> Path | None:
    """Find the file that ``model.encoder_weights`` names; downloads ``imagenet`` once.

    Returns:
        The file; None where weights are drawn at random.

    Raises:
        ExperimentError: There is no such file, or it cannot be downloaded.
    """
    name = encoder_name(settings)
    if name is None or settings.encoder_weights == "none":
        return None
    if settings.encoder_weights != "imagenet":
        path = Path(settings.encoder_weights).expanduser()
        if not path.is_file():
            raise ExperimentError(
                f"model.encoder_weights is {settings.encoder_weights!r}, and there is no such "
                f"file; give imagenet, none, or the path of {PUBLISHED[name].name}"
            )
        return path
    file = PUBLISHED[name]
    try:
        return Path(
            keras.utils.get_file(
                origin=file.url,
                fname=file.name,
                file_hash=file.md5,
                cache_dir=str(keras_home()),
                cache_subdir="models",
            )
        )
    except Exception as error:  # Keras raises Exception itself
        reason = " ".join(str(error).split())[:200]
        raise ExperimentError(
            f"model.encoder_weights is imagenet, but {file.url} cannot be downloaded ({reason}); "
            f"download it where there is a network and put it at {file.path}, or set "
            "model.encoder_weights to the file's path, or to none"
        ) from error


def load_encoder_weights(model: keras.Model, settings: ModelSettings) -> None:
    """Give a fresh network the encoder weights that its settings name, if any.

    Raises:
        ExperimentError: The file is missing, or does not hold this encoder's weights.
    """
    path = require_encoder_weights(settings)
    if path is None:
        return
    name = encoder_name(settings)
    assert name is not None
    application = getattr(keras.applications, name)
    try:
        published = application(include_top=False, weights=None, input_shape=(None, None, 3))
        published.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ExperimentError(
            f"model.encoder_weights: {path} does not hold the weights of {name} without its top "
            f"({reason}); give the file {PUBLISHED[name].name}, imagenet, or none"
        ) from error
    for source in published.layers:
        if not source.weights or isinstance(source, layers.Normalization):
            continue
        weights = source.get_weights()
        if source.name == "conv1_conv":
            weights[0] = weights[0][:, :, ::-1]  # from blue first to red first
        model.get_layer(source.name).set_weights(weights)
