"""How the network learns."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tiledseg.config.section import Fraction, PositiveInt, Section

NotNegative = Annotated[float, Field(ge=0.0)]
WatchedMetric = Literal["iou", "iou_coef", "sensitivity", "specificity", "binary_accuracy"]
LOSS_SYNONYMS = {
    "binary_crossentropy": "bce",
    "categorical_crossentropy": "bce",
    "crossentropy": "bce",
    "dice_loss": "dice",
    "iou_loss": "iou",
    "bce_dice_loss": "bce_dice",
    "crossentropy_dice": "bce_dice",
    "bce_iou_loss": "bce_iou",
    "crossentropy_iou": "bce_iou",
    "basnet_hybrid_loss": "basnet_hybrid",
    "binary_focal_crossentropy": "focal",
    "categorical_focal_crossentropy": "focal",
    "focal_loss": "focal",
    "tversky_loss": "tversky",
}
"""Names of Keras and of the source experiments, to those that are kept."""


def _usual_name(given: object) -> object:
    return LOSS_SYNONYMS.get(given, given) if isinstance(given, str) else given


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
    """Fraction of crops that are centered on an object."""
    hard_negative_fraction: Fraction = 0.0
    """Fraction of crops that are centered on background with the colors of objects, such as dirt
    and smudged cells, which crops drawn anywhere seldom show."""
    hard_example_fraction: Fraction = 0.0
    """Fraction of crops whose image is chosen by its loss after the last epoch, so that hard images
    are seen more often; the others are chosen evenly."""
    loss: Annotated[
        Literal["bce", "dice", "bce_dice", "iou", "bce_iou", "basnet_hybrid", "focal", "tversky"],
        BeforeValidator(_usual_name),
    ] = "bce_dice"
    """Loss; a joined name is the mean of the two, basnet_hybrid that of bce, iou and structural
    dissimilarity. With several classes bce and focal are categorical, the others means over
    classes. Other common names are taken, too, such as categorical_crossentropy."""
    class_weights: Annotated[tuple[NotNegative, ...], Field(strict=False)] = ()
    """Weights of the labels from 0, the background, in the loss; only their ratios count. Without
    them every pixel counts the same in bce and focal, and every class but the background in the
    others."""
    metrics: Annotated[tuple[WatchedMetric, ...], Field(strict=False)] = ()
    """What is watched beside dice and dice_coef; with several classes of each class."""
    focal_gamma: Annotated[float, Field(ge=0.0, le=5.0)] = 2.0
    """Loss focal: exponent by which pixels that are nearly right weigh less."""
    tversky_beta: Fraction = 0.7
    """Loss tversky: weight of false negatives; false positives weigh the rest to 1."""
    overlap_per_image: bool = False
    """Dice and IoU in the loss: of each crop and averaged, so that false positives on a crop
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
    tune_threshold: bool = False
    """After training, shift the logits so that 0.5 is the cut with the best mean Dice on the
    validation images."""
    max_minutes: Annotated[float, Field(gt=0.0)] | None = None
    """Budget for training, in minutes of wall time; the cosine ends with it."""
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "float32"
    """Arithmetic while training; auto takes what is fastest when steps of this network are timed
    on this machine. The trained network is float32."""
    xla: bool | None = None
    """Whether XLA compiles the training step. None: as timed where ``precision`` is auto, else on
    JAX alone, which computes in no other way."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 137
    """Seed of weights, crops and augmentation."""
    workers: Annotated[int, Field(ge=0, le=64)] = 1
    """Threads that prepare batches beside training; the batches do not depend on it."""
    epoch_pictures: Annotated[int, Field(ge=0)] = 1
    """Validation images whose masks, tiled and whole, are kept after every epoch."""

    @model_validator(mode="after")
    def _fractions_leave_no_debt(self) -> Self:
        if self.foreground_fraction + self.hard_negative_fraction > 1.0:
            raise ValueError(
                f"foreground_fraction ({self.foreground_fraction}) and hard_negative_fraction "
                f"({self.hard_negative_fraction}) add up to more than 1; lower one of them"
            )
        return self

    @model_validator(mode="after")
    def _a_class_counts(self) -> Self:
        if self.class_weights and not sum(self.class_weights[1:]):
            raise ValueError(
                f"class_weights {list(self.class_weights)}: only the background counts; give "
                "another class a weight above 0"
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
