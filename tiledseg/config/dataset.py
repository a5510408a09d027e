"""Which images and masks, and how a mask is read."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tiledseg.config.section import PositiveInt, Section

FolderName = Annotated[str, Field(pattern=r"^(\.|[^./\\][^/\\]*(/[^./\\][^/\\]*)*)$")]
NameEnding = Annotated[str, Field(pattern=r"^[^/\\]*$")]
Texts = Annotated[tuple[str, ...], Field(strict=False)]
_CLASS_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9 _.-]*[A-Za-z0-9_.-])?"
_COLOR = r"#[0-9a-fA-F]{6}"
_MOST_CLASSES = 255


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
    labels: Literal["binary", "cells"] = "binary"
    """binary: nuclei, 0 and 255; cells: a palette PNG of background, red cell, cytoplasm of a
    white cell, and nucleus."""


class SplitSettings(Section):
    """How images are divided when the dataset has no folders for it."""

    valid: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Fraction of source images for validation."""
    test: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Fraction of source images for testing."""
    seed: int = 137
    """Seed of the draw."""
    tiles: bool = True
    """Whether names that differ only in a _ROW_COLUMN ending are tiles of one source image."""
    group_pattern: str = ""
    """Regular expression whose first bracket finds the patient or slide in a stem, as in
    '^(P[0-9]+)_'; images of one group stay in one split, also in splits that have folders."""
    group_file: str = ""
    """CSV in the dataset's folder with the columns stem and group, in place of a pattern."""

    @model_validator(mode="after")
    def _groups_are_named_once(self) -> Self:
        if self.group_pattern and self.group_file:
            raise ValueError(
                f"group_pattern ({self.group_pattern}) and group_file ({self.group_file}) exclude "
                "each other; leave one of them empty"
            )
        return self

    @field_validator("group_pattern")
    @classmethod
    def _finds_a_group(cls, pattern: str) -> str:
        try:
            brackets = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        if pattern and not brackets:
            raise ValueError(
                f"{pattern!r} has no brackets around the group; write for example '^(P[0-9]+)_'"
            )
        return pattern

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
    mask_form: Literal["threshold", "nonzero", "values", "labels", "colors"] = "threshold"
    """threshold: brighter than mask_threshold; nonzero: anything but 0, as for labels of
    instances (8, 16 or 32 bits) or colors on black; values: those of mask_values; labels: the
    value, or a palette's index, is the class, as classes counts them; colors: mask_colors."""
    mask_threshold: Annotated[int, Field(ge=0, le=254)] = 127
    """A mask pixel is foreground where its brightest channel (8 bits) is above this value."""
    mask_values: str = ""
    """Foreground of mask_form values: numbers as stored, or colors, as in '20, #00ff00'."""
    mask_colors: Texts = ()
    """mask_form colors: the color of each class, as in ['#000000', '#ff0000']; the first is
    the background."""
    classes: Texts = ()
    """Names of the labels from 0, the background, as in [background, nucleus, cytoplasm]."""
    ignore_label: Annotated[int, Field(ge=0)] | str | None = None
    """Value (mask_form labels) or color (colors) of pixels whose class is not known: nothing
    learns from them or is scored on them."""
    synthetic: SyntheticSettings | None = None
    """Draw the dataset instead of expecting it on disk."""
    split: SplitSettings = SplitSettings()
    """Fractions are used only where valid or test folders are missing."""

    @model_validator(mode="after")
    def _masks_differ_from_images(self) -> Self:
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

    @model_validator(mode="after")
    def _labels_are_declared(self) -> Self:
        if self.mask_form != "colors" and self.mask_colors:
            raise ValueError(
                f"mask_colors do not go with mask_form {self.mask_form!r}; use mask_form colors"
            )
        drawn = self.synthetic is not None and self.synthetic.labels == "cells"
        if drawn and self.mask_form == "threshold":
            raise ValueError(
                "synthetic.labels cells does not go with mask_form threshold; use mask_form labels "
                "with classes [background, red cell, cytoplasm, nucleus]"
            )
        if not self.holds_labels:
            if self.ignore_label is not None:
                raise ValueError(
                    f"ignore_label {self.ignore_label!r} does not go with mask_form "
                    f"{self.mask_form!r}; use mask_form labels or colors, with classes"
                )
            return self
        if not self.classes:
            raise ValueError(
                f"mask_form {self.mask_form!r} needs classes, the name of each label from 0, as "
                "in [background, nucleus]"
            )
        if self.masks_per_image == "several":
            raise ValueError(
                f"masks_per_image several does not go with mask_form {self.mask_form!r}: one "
                "file tells all classes of an image; use masks_per_image one"
            )
        if self.mask_form == "colors" and len(self.mask_colors) != len(self.classes):
            raise ValueError(
                f"mask_colors names {len(self.mask_colors)} colors for {len(self.classes)} "
                f"classes ({', '.join(self.classes)}); give one each"
            )
        self._check_ignored()
        return self

    def _check_ignored(self) -> None:
        ignored = self.ignore_label
        if ignored is None:
            return
        if (self.mask_form == "colors") != isinstance(ignored, str):
            raise ValueError(
                f"ignore_label {ignored!r} does not go with mask_form {self.mask_form!r}; give "
                "a number with labels, a color such as '#ffffff' with colors"
            )
        taken = (
            self.mask_colors
            if isinstance(ignored, str)
            else tuple(map(str, range(len(self.classes))))
        )
        if str(ignored).lower() in (item.lower() for item in taken):
            raise ValueError(
                f"ignore_label {ignored!r} is a class's own; use a value that no class has"
            )

    @field_validator("classes")
    @classmethod
    def _names_classes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(_CLASS_NAME, name):
                raise ValueError(
                    f"{name!r} cannot name a class; use letters and digits of ASCII, and . _ - or "
                    "spaces between them"
                )
        if len({name.lower() for name in names}) < len(names):
            raise ValueError(f"{', '.join(names)}: two classes have one name; rename one")
        if names and not 2 <= len(names) <= _MOST_CLASSES:
            raise ValueError(f"{len(names)} names; give 2 to {_MOST_CLASSES}, the background first")
        return names

    @field_validator("mask_colors", "ignore_label")
    @classmethod
    def _names_colors(cls, given: object) -> object:
        for color in given if isinstance(given, tuple) else (given,):
            if isinstance(color, str) and not re.fullmatch(_COLOR, color):
                raise ValueError(f"{color!r} is no color; write it as '#rrggbb'")
        if isinstance(given, tuple) and len({color.lower() for color in given}) < len(given):
            raise ValueError(f"{', '.join(given)}: two classes have one color; change one")
        return given

    @property
    def holds_labels(self) -> bool:
        """Whether a mask tells a class for every pixel, and not only foreground."""
        return self.mask_form in ("labels", "colors")

    @property
    def foreground_threshold(self) -> int | None:
        """Brightness (8 bits) above which a mask is foreground; None where it holds labels."""
        return None if self.holds_labels else self.mask_threshold

    @field_validator("mask_values")
    @classmethod
    def _lists_values(cls, text: str) -> str:
        for value in text.replace(",", " ").split():
            if not re.fullmatch(r"[0-9]{1,10}|#[0-9a-fA-F]{6}", value):
                raise ValueError(
                    f"{value!r} is no value of a mask; list numbers as stored, or colors, as in "
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
