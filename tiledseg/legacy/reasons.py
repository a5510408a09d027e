"""Keys of the source program that become no setting here, and why."""

from collections.abc import Mapping

from tiledseg.legacy.reader import Kind
from tiledseg.legacy.source_networks import SHARED_KEYS, SOURCE_NETWORKS

_RUN = "everything is kept in the MLflow run"
_SEED = "everything random follows from training.seed"
_NO_COPY = "a run never overwrites another"
_PREDICT = "tiledseg predict takes images and an output folder"
_COLORS = "masks are written as 0 and 255; colors are the dashboard's"
_CUT = "masks are cut at 0.5, or where training.tune_threshold finds it better"
_RGB = "images are read as RGB"
_READER = "one reader for all images"
_CHANNEL = "a mask's brightest channel counts"

_ELSEWHERE: Mapping[str, str] = {
    "model.show_summary": "the model is kept in the MLflow run",
    "train.metrics": "all metrics are drawn",
    "train.dataset_splitter": "folders valid and test validate and test, or a split by image",
    "train.model_dir": _RUN,
    "train.eval_dir": _RUN,
    "train.create_backup": _NO_COPY,
    "train.create_backups": _NO_COPY,
    "train.save_weights_only": "the whole model is kept",
    "train.save_model_file": _RUN,
    "train.epoch_change_infer_dir": _RUN,
    "train.epoch_change_tiledinfer_dir": _RUN,
    "train.epoch_change_tiled_infer_dir": _RUN,
    "train.seedreset_callback": _SEED,
    "train.show_history": _RUN,
    "eval": _RUN,
    "valid": _RUN,
    "test": _RUN,
    "infer": _PREDICT,
    "tiledinfer": _PREDICT,
    "tiledinfer.overlapping": "tiles carry a halo as wide as the network sees, so that they fit",
    "tiledinfer.split_size": "tiles are fitted to the image",
    "tiledinfer.background": _COLORS,
    "tiledinfer.debug": _RUN,
    "tiledinfer.mask_colorize": _COLORS,
    "infer.mask_colorize": _COLORS,
    "segmentation": _COLORS,
    "mask.mask_colorize": _COLORS,
    "mask.mask_file_format": "files are recognized by their content",
    "image.color_order": _RGB,
    "dataset.color_order": _RGB,
    "dataset.class_name": _READER,
    "dataset.datasetclass": _READER,
    "generator": "crops are drawn while training; none are written",
}
_UNAVAILABLE: Mapping[str, str] = {
    "tiledinfer.binarize": _CUT,
    "tiledinfer.threshold": _CUT,
    "infer.threshold": _CUT,
    "infer.algorithm": _CUT,
    "infer.blur": "masks are not blurred",
    "infer.ksize": "masks are not blurred",
    "mask.grayscaling": _CHANNEL,
    "mask.mask_channels": _CHANNEL,
}
_IGNORED: Mapping[str, str] = {
    "deformation": "elastic deformation is not asked for",
    "distortion": "distortion is not asked for",
    "barrdistortion": "barrel distortion is not asked for",
    "pincdistortion": "pincushion distortion is not asked for",
    "sharpening": "random sharpening is not asked for",
}
REASONS: Mapping[str, tuple[Kind, str]] = {
    **{name: ("elsewhere", words) for name, words in _ELSEWHERE.items()},
    **{name: ("unavailable", words) for name, words in _UNAVAILABLE.items()},
    **{name: ("ignored", words) for name, words in _IGNORED.items()},
}
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
    *(f"model.{key}" for key in sorted(SHARED_KEYS)),
    *(f"model.{key}" for key in sorted(set().union(*(n.reads for n in SOURCE_NETWORKS.values())))),
    "train.epochs", "train.batch_size", "train.steps_per_epoch", "train.validation_steps",
    "train.patience", "train.learning_rate_reducer", "train.reducer_factor",
    "train.reducer_patience", "train.num_infer_images", "train.epoch_change_infer",
    "train.epoch_change_tiledinfer", "mask.binarize", "mask.threshold", "mask.blur",
    "mask.rgb_map", "dataset.datasetclass", "image.color_converter", "image.gamma",
    "image.sharpening", "tiledinfer.bitwise_blending",
    *(f"augmentor.{key}" for key in AUGMENTORS),
)  # fmt: skip
"""Keys with an effect, for a suggestion of what a misspelt one meant."""
