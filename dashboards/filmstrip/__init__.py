"""A row of thumbnails to choose from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dashboards import routes
from dashboards.click_component import ClickComponent
from dashboards.pictures import Picture, register
from dashboards.pyramids import Kind

_strip = ClickComponent(Path(__file__).parent, '<ul class="strip" tabindex="-1"></ul>')


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
    data = {
        "items": [asdict(item) for item in items],
        "chosen": chosen,
        "label": label,
        "large": large,
    }
    return _strip.show(data, key)


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
        against: The target that it is compared with, which shows its errors.
        label: Of a mask of several classes, the one that is shown; None shows all.
    """
    picture = Picture(path, kind, under, against, label)
    return f"{routes.base()}/{routes.THUMBNAILS}/{register(picture)}"
