"""The manifest of a prepared dataset: a row for each image."""

from pathlib import Path
from typing import Any

import pandas as pd

from tiledseg.data.unfinished import MANIFEST
from tiledseg.errors import OutputError, one_line

_LARGEST = 2**53
_COLUMNS: dict[str, type] = {
    "split": str,
    "stem": str,
    "source": str,
    "kind": str,
    "copy": int,
    "top": int,
    "left": int,
    "height": int,
    "width": int,
    "zoom": float,
    "foreground": int,
    "objects": int,
    "image_digest": str,
    "mask_digest": str,
}


def read_manifest(folder: Path) -> pd.DataFrame:
    """The manifest of a finished dataset, as ``write_layout`` returns it.

    Raises:
        OutputError: It cannot be read.
    """
    path = folder / MANIFEST
    try:
        return pd.read_csv(path, usecols=list(_COLUMNS), dtype=_COLUMNS, keep_default_na=False)
    except (OSError, OverflowError, ValueError) as error:
        raise OutputError(
            f"{path}: cannot be read ({one_line(error)}); prepare the dataset under another name"
        ) from None


def is_row(row: Any) -> bool:
    """Whether what a journal holds is a row of a manifest."""
    return isinstance(row, dict) and all(
        _is_value(row.get(name), kind) for name, kind in _COLUMNS.items()
    )


def _is_value(value: Any, kind: type) -> bool:
    if kind is str:
        return isinstance(value, str)
    numbers = int | float if kind is float else int
    return isinstance(value, numbers) and abs(value) < _LARGEST  # which NaN is not, either
