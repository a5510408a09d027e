"""A row of thumbnails to choose from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from dashboards import routes
from dashboards.pictures import Picture, register
from dashboards.pyramids import Kind

HERE = Path(__file__).parent

_mount = st.components.v2.component(
    "tiledseg_filmstrip",
    html='<ul class="strip" tabindex="-1"></ul>\n',
    css=(HERE / "filmstrip.css").read_text(encoding="utf-8"),
    js=(HERE / "filmstrip.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Shot:
    """One picture of an item."""

    src: str
    label: str = ""


@dataclass(frozen=True)
class Item:
    """What a click opens: one picture, or two side by side."""

    id: str
    shots: Sequence[Shot]
    title: str
    caption: str = ""
    badge: str = ""


def show_filmstrip(
    items: Sequence[Item], chosen: str, label: str, key: str, *, large: bool = False
) -> str | None:
    """Show thumbnails; returns the id of one that was just clicked, or None."""
    result = _mount(
        key=key,
        data={
            "items": [asdict(item) for item in items],
            "chosen": chosen,
            "label": label,
            "large": large,
        },
        on_chosen_change=lambda: None,
    )
    clicked = result.get("chosen")
    return None if clicked is None else str(clicked)


def thumbnail_url(
    path: Path,
    kind: Kind = "image",
    under: Path | None = None,
    against: Path | None = None,
    label: int | None = None,
) -> str:
    """Where a thumbnail of a file is.

    Args:
        path: An image or a mask.
        kind: Which of the two.
        under: The image that a mask is painted over.
        against: The truth that it is compared with, which shows its errors.
        label: Of a mask of several classes, the one that is shown; None shows all.
    """
    picture = Picture(path, kind, under, against, label)
    return f"{routes.base()}/{routes.THUMBNAILS}/{register(picture)}"
