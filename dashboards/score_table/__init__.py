"""Scores as a table, a row for each image or checkpoint; a click on a row opens it.

Streamlit's own table is drawn on a canvas, by a library that takes a browser a quarter of a second
to load and show; a row of it is opened by a box that has to be ticked.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dashboards.click_component import ClickComponent

_table = ClickComponent(
    Path(__file__).parent, '<div class="scores" role="region" tabindex="0"></div>'
)


@dataclass(frozen=True)
class Column:
    """Scores of one kind, or words."""

    title: str
    signed: bool = False
    """Whether numbers above 0 have a sign, too: of differences."""
    words: bool = False
    """Whether it holds words."""


@dataclass(frozen=True)
class Row:
    """Scores of one image or checkpoint, as many as there are columns."""

    id: str
    values: Sequence[float | str | None]


def show_score_table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    chosen: str,
    label: str,
    key: str,
    heading: str = "Image",
) -> str | None:
    """Show a table in the order of its rows, which a reader may change by its headings.

    Args:
        columns: Of scores; a first one, of the rows' ids, is always there.
        rows: Of images or checkpoints.
        chosen: Id of the row that is open.
        label: What the table is, for those who cannot see it.
        key: Of the component.
        heading: Of the first column.

    Returns:
        The id of a row that was just clicked, or None.
    """
    data = {
        "columns": [asdict(column) for column in columns],
        "rows": [asdict(row) for row in rows],
        "chosen": chosen,
        "label": label,
        "heading": heading,
    }
    return _table.show(data, key)
