"""What the sections of an experiment have in common.

Values are taken as they are: an integer will do for a number, but text, 3.0 or true will not do
for an integer.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]


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
