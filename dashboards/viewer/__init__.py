"""The viewer: panes of one image that move together, or two that are swiped.

A Streamlit component of our own. Its JavaScript is plain files, joined in the order below into
one module: no build step, nothing from another machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from dashboards import routes
from dashboards.colors import PALETTE
from dashboards.pictures import Picture, Size, register
from dashboards.pyramids import APRON, TILE, Kind

HERE = Path(__file__).parent
SCRIPTS = (
    "geometry.js",
    "tiles.js",
    "colors.js",
    "painter.js",
    "gestures.js",
    "toolbar.js",
    "links.js",
    "frames.js",
    "viewer.js",
)
LINK = "view"
"""Name of the viewer's part of a page's address."""


@dataclass(frozen=True)
class Layer:
    """A picture that panes are made of."""

    id: str
    label: str
    path: Path
    kind: Kind
    binary: bool = False
    """A target: pixels read out as 0 or 1."""
    label_shown: int | None = None
    """Of a mask of several classes, the one that is shown; None shows all."""

    def url(self) -> str:
        """Where its tiles are."""
        address = register(Picture(self.path, self.kind, label=self.label_shown))
        return f"{routes.base()}/{routes.TILES}/{address}"


@dataclass(frozen=True)
class Pane:
    """One way of showing layers."""

    id: str
    label: str
    show: Literal["image", "mask", "difference", "uncertainty"]
    of: str = ""
    """The layer; of image, that of the image itself if empty."""
    against: str = ""
    """Mask: the target whose errors are colored. Difference: the second mask."""
    note: str = ""


@dataclass(frozen=True)
class Frame:
    """The same panes at another time."""

    value: int
    label: str
    paths: Mapping[str, Path]
    """Layer to the file that it shows in this frame."""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """Everything that the viewer shows."""

    picture: str
    """Changes when another image is shown; the place is kept while it does not."""
    size: Size
    layers: Sequence[Layer]
    panes: Sequence[Pane]
    shown: Sequence[str]
    """Panes that are open at first."""
    swiped: tuple[str, str]
    seams: Mapping[str, Sequence[int]] | None = None
    """Rows and columns at which tiles meet."""
    frames: Sequence[Frame] = ()
    frame: int = 0
    """Index of the frame that is open at first."""


@dataclass(frozen=True)
class Events:
    """What happened in the viewer since the last run."""

    step: int = 0
    """1 for the next image, -1 for the previous one."""
    frame: int | None = None
    """Value of the frame that is shown."""


@cache
def script() -> str:
    """The component's JavaScript."""
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)


_mount = st.components.v2.component(
    "tiledseg_viewer",
    html='<div class="viewer"></div>\n',
    css=(HERE / "viewer.css").read_text(encoding="utf-8"),
    js=script(),
)


def show_viewer(scene: Scene, key: str) -> Events:
    """Show a scene; call it in a fragment, so that a moved view reruns that alone.

    The view is kept in the page's address, under ``view``.
    """
    result = _mount(
        key=key,
        data=scene_data(scene, str(st.query_params.get(LINK, ""))),
        on_link_change=lambda: _keep_link(key),
        on_frame_change=lambda: None,
        on_step_change=lambda: None,
    )
    frame = result.get("frame")
    return Events(step=int(result.get("step") or 0), frame=None if frame is None else int(frame))


def scene_data(scene: Scene, link: str) -> dict[str, Any]:
    """A scene as the JavaScript reads it."""
    layers = [
        {
            "id": layer.id,
            "label": layer.label,
            "kind": layer.kind,
            "binary": layer.binary,
            "url": layer.url(),
            "levels": scene.size.levels,
            "apron": 0 if layer.kind == "image" else APRON,
        }
        for layer in scene.layers
    ]
    by_id = {layer.id: layer for layer in scene.layers}
    frames = [
        {
            "value": frame.value,
            "label": frame.label,
            "notes": dict(frame.notes),
            "urls": {
                name: Layer(name, "", path, by_id[name].kind).url()
                for name, path in frame.paths.items()
            },
        }
        for frame in scene.frames
    ]
    return {
        "picture": scene.picture,
        "width": scene.size.width,
        "height": scene.size.height,
        "tile": TILE,
        "layers": layers,
        "panes": [vars(pane) for pane in scene.panes],
        "grid": {name: list(map(int, at)) for name, at in scene.seams.items()}
        if scene.seams
        else None,
        "frames": frames,
        "frame": scene.frame,
        "colors": {name: list(color) for name, color in PALETTE.items()},
        "style": {
            "panes": list(scene.shown),
            "swipe": list(scene.swiped),
            "swipe_on": False,
            "divider": 0.5,
            "opacity": 0.5,
            "onImage": True,
            "errors": True,
            "outline": True,
            "grid": False,
        },
        "link": link,
    }


def _keep_link(key: str) -> None:
    link = st.session_state[key].get("link")
    if link:
        st.query_params[LINK] = link
