"""The sections of an experiment: every key with its type, default, unit and bounds.

Cross-field checks live here, so that nothing deeper in the package needs them. Values are taken
as they are: an integer will do for a number, but text, 3.0 or true will not do for an integer.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
Activation = Literal[
    "relu", "leaky_relu", "relu6", "elu", "celu", "selu", "gelu", "silu", "swish", "mish",
    "softplus", "softsign", "hard_silu", "hard_swish", "tanh", "sigmoid", "linear",
]  # fmt: skip


FolderName = Annotated[str, Field(pattern=r"^(\.|[^./\\][^/\\]*(/[^./\\][^/\\]*)*)$")]
NameEnding = Annotated[str, Field(pattern=r"^[^/\\]*$")]


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys and takes no value for another."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class SyntheticSettings(Section):
    """A procedural stained smear, drawn on first use."""

    seed: int = 137
    """Seed of the drawing; the same seed gives the same files."""
    size: Annotated[int, Field(ge=64, le=8192)] = 2048
    """Side of each image, in pixels."""
    train: PositiveInt = 10
    """Number of training images."""
    valid: PositiveInt = 3
    """Number of validation images."""
    test: PositiveInt = 3
    """Number of test images."""


class SplitSettings(Section):
    """How images are divided when the dataset has no folders for it."""

    valid: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Fraction of source images for validation."""
    test: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Fraction of source images for testing."""
    seed: int = 137
    """Seed of the draw."""

    @model_validator(mode="after")
    def _leaves_images_to_train_on(self) -> Self:
        if self.valid + self.test >= 1.0:
            raise ValueError(
                f"valid ({self.valid}) and test ({self.test}) together leave nothing to train on; "
                "make their sum less than 1"
            )
        return self


class DatasetSettings(Section):
    """Which images and masks, and how a mask is read."""

    name: str
    """Folder under the data root; also the MLflow experiment and the registered model."""
    description: str = ""
    """What the images show, for people."""
    images: FolderName = "images"
    """Folder of the images in each split, or in the dataset; "." is the split itself, and
    images/{split} puts the split last."""
    masks: FolderName = "masks"
    """Folder of the masks; may be that of the images where a suffix tells them apart."""
    image_suffix: NameEnding = ""
    """What the names of images end in after the stem: _img, .jpg or _img.jpg."""
    mask_suffix: NameEnding = ""
    """What the names of masks end in after the stem: _mask, .png or _mask.png."""
    masks_per_image: Literal["one", "several"] = "one"
    """several: STEM_*.png or STEM/*.png, one object each, make one mask."""
    mask_form: Literal["threshold", "nonzero", "values"] = "threshold"
    """threshold: brighter than mask_threshold; nonzero: anything but 0, as for labels of
    instances (8, 16 or 32 bits) or colours on black; values: those of mask_values."""
    mask_threshold: Annotated[int, Field(ge=0, le=254)] = 127
    """A mask pixel is foreground where its brightest channel (8 bits) is above this value."""
    mask_values: str = ""
    """Foreground of mask_form values: numbers as stored, or colours, as in '20, #00ff00'."""
    synthetic: SyntheticSettings | None = None
    """Draw the dataset instead of expecting it on disk."""
    split: SplitSettings = SplitSettings()
    """Used only where valid or test folders are missing."""

    @model_validator(mode="after")
    def _masks_can_be_told_from_images(self) -> Self:
        if self.images == self.masks and self.image_suffix == self.mask_suffix:
            raise ValueError(
                f"images and masks are both in {self.images!r} and end alike; set mask_suffix "
                "(for example _mask), or image_suffix and mask_suffix (for example .jpg and .png)"
            )
        if bool(self.mask_values) != (self.mask_form == "values"):
            raise ValueError(
                f"mask_form {self.mask_form!r} does not go with mask_values "
                f"{self.mask_values!r}; use mask_form values with at least one of them"
            )
        return self

    @field_validator("mask_values")
    @classmethod
    def _lists_values(cls, text: str) -> str:
        for value in text.replace(",", " ").split():
            if not re.fullmatch(r"[0-9]{1,10}|#[0-9a-fA-F]{6}", value):
                raise ValueError(
                    f"{value!r} is no value of a mask; list numbers as stored, or colours, as in "
                    "'20, #00ff00'"
                )
        return text

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]*[A-Za-z0-9_-])?", name):
            raise ValueError(
                f"{name!r} cannot name a folder, an MLflow experiment and a model on every "
                "system; use letters and digits of ASCII, and . _ - or spaces between them"
            )
        return name


class ImageSettings(Section):
    """What the network is shown; applied alike in training, inference and the served model."""

    size: Annotated[int, Field(ge=32, le=4096)] = 512
    """Side of a training crop and of the non-tiled input, in pixels."""
    channels: Literal[1, 3] = 3
    """Channels of the network's input."""
    color_space: Literal["rgb", "hsv", "lab", "gray"] = "rgb"
    """Colour space of the network's input."""
    gamma: Annotated[float, Field(gt=0.0, le=5.0)] = 1.0
    """Exponent applied to intensities in [0, 1]; 1 leaves them alone."""
    sharpening: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    """Weight of an unsharp mask (sigma 1 px); 0 leaves the image alone."""

    @model_validator(mode="after")
    def _channels_fit_color_space(self) -> Self:
        if (self.color_space == "gray") != (self.channels == 1):
            raise ValueError(
                f"color_space {self.color_space!r} does not go with channels {self.channels}; "
                "use gray with 1 channel, and rgb, hsv or lab with 3"
            )
        return self


class ModelSettings(Section):
    """The network."""

    architecture: Literal["UNet"] = "UNet"
    """Name in the table of architectures."""
    num_classes: Literal[1] = 1
    """Foreground classes; 1 means a binary mask."""
    base_filters: Annotated[int, Field(ge=1, le=256)] = 16
    """Filters of the first level, doubled at each deeper level."""
    base_kernels: Annotated[int, Field(ge=3, le=15)] = 3
    """Kernel side of the first level, in pixels; two less at each deeper level, never under 3."""
    num_layers: Annotated[int, Field(ge=2, le=9)] = 5
    """Levels, the bridge included."""
    reduction: Literal[1, 2, 4] = 1
    """Factor by which the network reduces the image before its first level; probabilities come
    out at full size. 2 makes everything about four times as fast and doubles what a level sees,
    for objects that are still some 20 pixels wide when reduced."""
    dropout_rate: Annotated[float, Field(ge=0.0, le=0.3)] = 0.02
    """Dropout of the first level, multiplied by the level's number (from 1) at deeper ones."""
    dilation: Annotated[int, Field(ge=1, le=8)] = 1
    """Dilation of the first level's convolutions; one less at each deeper level, never under 1."""
    normalization: Literal["none", "batch"] = "batch"
    """Normalisation after each convolution."""
    activation: Activation = "relu"
    """Activation after each convolution, by its name in Keras."""

    @model_validator(mode="after")
    def _kernel_is_odd(self) -> Self:
        if self.base_kernels % 2 == 0:
            raise ValueError(f"base_kernels is {self.base_kernels}; use an odd number, 3 to 15")
        return self

    @model_validator(mode="after")
    def _dropout_leaves_something(self) -> Self:
        deepest = self.dropout_rate * self.num_layers
        if deepest >= 1.0:
            raise ValueError(
                f"dropout_rate {self.dropout_rate} times num_layers {self.num_layers} drops "
                f"everything at the bridge; use a rate under {0.9 / self.num_layers:.3f}"
            )
        return self

    @property
    def stride(self) -> int:
        """Total stride of the network, in pixels: input sides are multiples of it."""
        return int(self.reduction * 2 ** (self.num_layers - 1))


class TrainingSettings(Section):
    """How the network learns."""

    epochs: PositiveInt = 40
    """Most epochs; early stopping and max_minutes may end sooner."""
    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """Crops in a batch."""
    steps_per_epoch: PositiveInt = 60
    """Batches in an epoch."""
    validation_tiles: Annotated[int, Field(ge=1)] = 64
    """Most tiles on which val_loss and val_dice_coef are measured, spread over the images."""
    foreground_fraction: Fraction = 0.5
    """Fraction of crops that are centred on an object."""
    lookalike_fraction: Fraction = 0.0
    """Fraction of crops that are centred on background with the colours of objects, such as dirt
    and smudged cells, which crops drawn anywhere seldom show."""
    loss: Literal[
        "bce", "dice", "bce_dice", "iou", "bce_iou", "basnet_hybrid", "focal", "tversky"
    ] = "bce_dice"
    """Loss; a joined name is the mean of the two, basnet_hybrid that of bce, iou and structural
    dissimilarity."""
    focal_gamma: Annotated[float, Field(ge=0.0, le=5.0)] = 2.0
    """Loss focal: exponent by which pixels that are nearly right weigh less."""
    tversky_beta: Fraction = 0.7
    """Loss tversky: weight of missed pixels; invented ones weigh the rest to 1."""
    overlap_per_image: bool = False
    """Dice and IoU in the loss: of each crop and averaged, so that what is invented on a crop
    with few objects weighs as much as among many; otherwise of the batch as a whole."""
    overlap_smooth: Annotated[float, Field(gt=0.0)] = 1.0
    """Pixels added above and below in Dice and IoU of the loss; with about an object's area,
    crops without objects count too."""
    optimizer: Literal["Adam", "AdamW"] = "Adam"
    """Optimizer."""
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1e-3
    """Learning rate at the start."""
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-4
    """Decoupled weight decay; AdamW only."""
    clipvalue: Annotated[float, Field(gt=0.0)] | None = None
    """Largest absolute value of a gradient's component."""
    clipnorm: Annotated[float, Field(gt=0.0)] | None = 1.0
    """Largest norm of a weight's gradient."""
    ema_momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the old value in each step of the averaged weights, which are validated and
    kept; 0 keeps the weights as they are."""
    schedule: Literal["constant", "plateau", "cosine"] = "cosine"
    """Course of the learning rate."""
    reducer_factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Schedule plateau: factor by which the learning rate falls."""
    reducer_patience: PositiveInt = 4
    """Schedule plateau: epochs without a better monitored value before it falls."""
    warmup_steps: Annotated[int, Field(ge=0)] = 50
    """Schedule cosine: steps over which the learning rate rises linearly."""
    patience: PositiveInt = 12
    """Epochs without a better monitored value before training stops."""
    monitor: Literal["val_dice", "val_dice_coef", "val_loss"] = "val_dice"
    """Validation value that chooses the checkpoint, stops training and lowers the rate."""
    calibrate: bool = False
    """After training, shift the logits so that 0.5 is the cut with the best mean Dice on the
    validation images."""
    max_minutes: Annotated[float, Field(gt=0.0)] | None = None
    """Budget for training, in minutes of wall time; the cosine ends with it."""
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "float32"
    """Arithmetic while training; auto takes mixed_bfloat16 where the processor computes with it
    (AVX512-BF16, AMX) and float32 elsewhere. The trained network is float32."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 137
    """Seed of weights, crops and augmentation."""
    workers: Annotated[int, Field(ge=0, le=64)] = 1
    """Threads that prepare batches beside training; the batches do not depend on it."""
    epoch_pictures: Annotated[int, Field(ge=0)] = 1
    """Validation images whose masks, tiled and whole, are kept after every epoch."""

    @model_validator(mode="after")
    def _fractions_leave_no_debt(self) -> Self:
        if self.foreground_fraction + self.lookalike_fraction > 1.0:
            raise ValueError(
                f"foreground_fraction ({self.foreground_fraction}) and lookalike_fraction "
                f"({self.lookalike_fraction}) add up to more than 1; lower one of them"
            )
        return self

    @model_validator(mode="after")
    def _one_clipping(self) -> Self:
        if self.clipvalue is not None and self.clipnorm is not None:
            raise ValueError(
                f"clipvalue ({self.clipvalue}) and clipnorm ({self.clipnorm}) exclude each other; "
                "set one of them to null"
            )
        return self


class AugmentationSettings(Section):
    """Random changes to training crops; amplitudes are drawn evenly from -x to +x."""

    hflip: bool = True
    """Mirror left to right, half of the time."""
    vflip: bool = True
    """Mirror top to bottom, half of the time."""
    quarter_turns: bool = True
    """Turn by 0, 90, 180 or 270 degrees."""
    scale: Annotated[float, Field(ge=0.0, le=0.9)] = 0.0
    """Relative change of magnification."""
    brightness: Fraction = 0.1
    """Change of brightness, as a fraction of full scale."""
    contrast: Annotated[float, Field(ge=0.0, le=0.9)] = 0.1
    """Relative change of contrast about the crop's mean."""
    color_cast: Annotated[float, Field(ge=0.0, le=0.9)] = 0.1
    """Relative change of each channel on its own; RGB images only."""
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.02
    """Change of hue, as a fraction of the colour circle; colour images only."""
    saturation: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Relative change of saturation; colour images only."""


class TilingSettings(Section):
    """Tiled inference."""

    mode: Literal["exact"] = "exact"
    """exact: halo and stride from the network's graph; the same answer as one whole pass."""
    max_tile: Annotated[int, Field(ge=32, le=16384)] = 1536
    """Largest side of a tile, halo included, in pixels; fitted to the image below it."""
    orientations: Literal[1, 2, 4, 8] = 1
    """Mirror images and turns whose probabilities are averaged (test-time augmentation), for
    tiled and whole inference alike; time grows with their number."""
    smallest_object: Annotated[int, Field(ge=0)] = 0
    """Objects of fewer pixels are none, in tiled and whole inference alike: their probabilities
    are held just under 0.5."""


class EvaluationSettings(Section):
    """What is measured after training."""

    comparison_images: Annotated[int, Field(ge=0)] = 100
    """Most comparison sheets per split."""
    seam_images: Annotated[int, Field(ge=0)] = 1
    """Images per split that are also passed at full size, to measure what tiling changed."""
    seam_megapixels: Annotated[float, Field(ge=0.0)] = 6.0
    """Largest image, in megapixels, that is passed at full size; larger ones need much memory."""


class TrackingSettings(Section):
    """What is kept in the MLflow run."""

    log_images: bool = True
    """Keep copies of the images and truths beside the predictions."""
    register_model: bool = True
    """Register the trained model under the dataset's name."""
