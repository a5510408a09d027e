"""Which images and masks, and how a mask is read."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tiledseg.settings.section import PositiveInt, Section

FolderName = Annotated[str, Field(pattern=r"^(\.|[^./\\][^/\\]*(/[^./\\][^/\\]*)*)$")]
NameEnding = Annotated[str, Field(pattern=r"^[^/\\]*$")]


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
