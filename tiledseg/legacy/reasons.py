"""Keys of the source program that need no setting here, and why."""

from collections.abc import Mapping

_FOLDERS = "images lie in DATA/NAME/{train,valid,test}/{images,masks}"
_RUN = "everything is kept in the MLflow run"
_OTHER = "a setting of another architecture, or one without a counterpart here"
_APPEARANCE = "masks are written as 0 and 255; colors are the dashboard's"

REASONS: Mapping[str, str] = {
    "model.input_normalize": "intensities are always scaled from 0..255 to 0..1",
    "model.metrics": "dice_coef, Dice, IoU, precision, recall and accuracy are always recorded",
    "model.show_summary": "the model is kept in the MLflow run",
    "model.dropout_seed_fixing": "everything random follows from training.seed",
    "train.metrics": "all metrics are drawn",
    "train.image_datapath": _FOLDERS,
    "train.mask_datapath": _FOLDERS,
    "train.images_dir": _FOLDERS,
    "train.masks_dir": _FOLDERS,
    "train.dataset_splitter": "folders valid and test validate and test, or a split by image",
    "train.model_dir": _RUN,
    "train.eval_dir": _RUN,
    "train.create_backup": "a run never overwrites another",
    "train.create_backups": "a run never overwrites another",
    "train.save_weights_only": "the whole model is kept",
    "train.save_model_file": _RUN,
    "train.epoch_change_infer_dir": _RUN,
    "train.epoch_change_tiledinfer_dir": _RUN,
    "train.epoch_change_tiled_infer_dir": _RUN,
    "train.seedreset_callback": "everything random follows from training.seed",
    "train.show_history": _RUN,
    "eval": _FOLDERS,
    "valid": _FOLDERS,
    "test": _FOLDERS,
    "infer": "tiledseg predict takes images and an output folder",
    "tiledinfer": "tiledseg predict takes images and an output folder",
    "tiledinfer.bitwise_blending": "it erases what only tiling finds; --mode intersection does it",
    "tiledinfer.binarize": "masks are always cut at 0.5",
    "tiledinfer.threshold": "masks are always cut at 0.5",
    "tiledinfer.background": _APPEARANCE,
    "tiledinfer.debug": _RUN,
    "tiledinfer.mask_colorize": _APPEARANCE,
    "infer.mask_colorize": _APPEARANCE,
    "infer.threshold": "masks are always cut at 0.5",
    "segmentation": _APPEARANCE,
    "mask.blur": "it widened masks by a pixel, as any gray counted; masks are kept as they are",
    "mask.blur_size": "masks are kept as they are",
    "mask.algorithm": "masks are cut at mask_threshold",
    "mask.mask_file_format": "files are recognized by their content",
    "mask.mask_colorize": _APPEARANCE,
    "mask.grayscaling": "a mask's brightest channel counts",
    "mask.mask_channels": "a mask's brightest channel counts",
    "dataset.datasetclass": "one reader for all images",
    "dataset.class_name": "one reader for all images",
    "image.color_order": "images are read as RGB",
    "dataset.resize_interpolation": "crops are taken at full size; nothing is resized for training",
    "dataset.color_order": "images are read as RGB",
    "generator": "crops are drawn while training; none are written",
    "deformation": "elastic deformation is not asked for",
    "distortion": "distortion is not asked for",
    "barrdistortion": "barrel distortion is not asked for",
    "pincdistortion": "pincushion distortion is not asked for",
    "sharpening": "random sharpening is not asked for",
} | dict.fromkeys(
    (
        f"model.{key}"
        for key in (
            "base_ksize", "ksize", "kernel_size", "sharp_ksize", "base_dilation", "efficientnet",
            "filters", "filter_num", "filter_num_begin", "max_filter", "depth", "stack_num_down",
            "stack_num_up", "patch_size", "num_heads", "window_size", "num_mlp", "mlp_dim",
            "shift_window", "embed_dim", "num_transformer", "mlp_activation", "batch_norm",
            "backbone", "weights", "freeze_backbone", "freeze_batch_norm", "freeze_enc_cnn",
            "hybrid", "grid", "hidden_size", "decoder_channels", "num_skip", "pretrain",
            "filter_num_down", "filter_num_skip", "filter_num_aggregate", "filter_num_up",
        )
    ),
    _OTHER,
)  # fmt: skip
"""By ``section.key``, or by ``section`` for all of its other keys."""

AUGMENTORS = (
    "vflip", "hflip", "rotation", "angles", "shrinks", "shears", "transformer", "deformation",
    "distortion", "sharpening", "brightening", "barrdistortion", "pincdistortion", "alpah",
    "alpha", "sigmoid",
)  # fmt: skip

DETAILS: Mapping[str, tuple[str, ...]] = {
    "shears": (),
    "transformer": ("augmentor.alpah", "augmentor.alpha", "augmentor.sigmoid"),
    "deformation": (
        "deformation.alpah", "deformation.alpha", "deformation.sigmoid", "deformation.sigmoids",
    ),
    "distortion": (
        "distortion.gaussian_filter_rsigma", "distortion.gaussian_filter_sigma",
        "distortion.distortions",
    ),
    "barrdistortion": (
        "barrdistortion.radius", "barrdistortion.amount", "barrdistortion.centers",
    ),
    "pincdistortion": (
        "pincdistortion.radius", "pincdistortion.amount", "pincdistortion.centers",
    ),
    "sharpening": ("sharpening.k",),
}  # fmt: skip
"""Keys that go with such a switch."""

KNOWN = (
    "model.model", "model.generator", "model.image_width", "model.image_height",
    "model.image_channels", "model.num_classes", "model.base_filters", "model.base_kernels",
    "model.num_layers", "model.dropout_rate", "model.dilation", "model.normalization",
    "model.efficientnet", "model.weights", "model.patch_size", "model.num_transformer",
    "model.embed_dim", "model.filter_num_begin", "model.num_heads", "model.window_size",
    "model.activation", "model.loss", "model.metrics", "model.optimizer",
    "model.learning_rate", "model.clipvalue", "train.epochs", "train.batch_size",
    "train.steps_per_epoch", "train.validation_steps", "train.patience",
    "train.learning_rate_reducer", "train.reducer_factor", "train.reducer_patience",
    "train.num_infer_images", "train.epoch_change_infer", "train.epoch_change_tiledinfer",
    "mask.binarize", "mask.threshold", "mask.rgb_map", "image.color_converter", "image.gamma",
    "image.sharpening",
    *(f"augmentor.{key}" for key in AUGMENTORS),
)  # fmt: skip
"""Keys with an effect, for a prediction at what a misspelt one meant."""

NEEDED = frozenset({
    "model.image_width", "model.image_height", "model.image_channels", "model.num_classes",
    "model.base_filters", "model.num_layers", "model.dropout_rate", "model.learning_rate",
    "model.loss", "train.epochs", "train.batch_size", "train.patience", "mask.threshold",
})  # fmt: skip
"""Keys without a default in the source program, which stops without them."""

WITHOUT_DEFAULT = frozenset({
    "image.size", "image.channels", "model.num_classes", "model.base_filters", "model.num_layers",
    "model.dropout_rate", "training.learning_rate", "training.loss", "training.epochs",
    "training.batch_size", "training.patience",
})  # fmt: skip
"""The settings that follow from them."""
