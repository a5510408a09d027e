"""What the server answers beside Streamlit's own: tiles, thumbnails, and where pages begin."""

import logging
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from streamlit import config, file_util

from dashboards import colours
from dashboards.pictures import Picture, find
from dashboards.pyramids import CUT, Pyramid, encode_tile, open_pyramid
from tiledseg.errors import TiledsegError

TILES = "tiles"
THUMBNAILS = "thumbnails"
THUMBNAIL = 320
"""Largest side of a thumbnail, in pixels."""
HEADERS = {
    "Cache-Control": "private, max-age=86400, immutable",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_BASE_SCRIPT = """<script>
      window.__streamlit = { BACKEND_BASE_URL: new URL(".", window.location.href).href }
    </script>"""
"""Tells Streamlit's page where its server is. It would try below the page's own address first,
which every browser reports as an error."""

logger = logging.getLogger(__name__)


def page_routes(names: Iterable[str]) -> list[Route]:
    """Streamlit's page at the addresses of ours."""
    index = Path(file_util.get_static_dir()) / "index.html"
    html = index.read_text(encoding="utf-8").replace("<head>", f"<head>\n    {_BASE_SCRIPT}", 1)

    def serve_page(_: Request) -> Response:
        return HTMLResponse(html, headers={"Cache-Control": "no-cache"})

    return [Route(f"{base()}/{name}", serve_page) for name in names]


def tile_routes() -> list[Route]:
    """Tiles and thumbnails, below the address that the application is served at."""
    return [
        Route(f"{base()}/{TILES}/{{address}}/{{level:int}}/{{column:int}}/{{row:int}}", serve_tile),
        Route(f"{base()}/{THUMBNAILS}/{{address}}", serve_thumbnail),
    ]


def base() -> str:
    """``server.baseUrlPath`` with a slash before it, or nothing."""
    path = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def serve_tile(request: Request) -> Response:
    """One tile: PNG with the exact values, or JPEG for reduced images."""
    picture = find(request.path_params["address"])
    place = [int(request.path_params[name]) for name in ("level", "column", "row")]
    if picture is None:
        return _refused()
    try:
        pixels = open_pyramid(picture.path, picture.kind).tile(*place)
    except TiledsegError as error:
        logger.info("tile refused: %s", error)
        return _refused()
    exact = picture.kind == "mask" or place[0] == 0
    data, kind = encode_tile(pixels, exact=exact)
    return Response(data, media_type=kind, headers=HEADERS)


def serve_thumbnail(request: Request) -> Response:
    """A small picture; a mask is painted over its image."""
    picture = find(request.path_params["address"])
    if picture is None:
        return _refused()
    try:
        pixels = thumbnail(picture)
    except TiledsegError as error:
        logger.info("thumbnail refused: %s", error)
        return _refused()
    data, kind = encode_tile(pixels, exact=False)
    return Response(data, media_type=kind, headers=HEADERS)


def thumbnail(picture: Picture) -> NDArray[np.uint8]:
    """The smallest level of a pyramid that fills a thumbnail, (h, w, 3) RGB."""
    if picture.under is None:
        shown = _reduced(open_pyramid(picture.path, picture.kind))
        return shown if picture.kind == "image" else np.repeat(shown[..., 1:2], 3, axis=2)
    image = _reduced(open_pyramid(picture.under, "image"))
    cover = _reduced(open_pyramid(picture.path, "mask"))[..., 1]
    cover = cv2.resize(cover, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_AREA)
    inside = (cover >= CUT).astype(np.uint8)
    edge = inside - cv2.erode(inside, np.ones((3, 3), np.uint8))
    share = np.maximum(0.45 * cover / 255.0, edge * 0.95)[..., np.newaxis]
    return np.asarray(image * (1 - share) + np.array(colours.MASK) * share, np.uint8)


def _reduced(pyramid: Pyramid) -> NDArray[np.uint8]:
    """The top of a pyramid without apron, at most THUMBNAIL on a side."""
    pixels = pyramid.tile(pyramid.levels - 1, 0, 0)
    if pyramid.kind == "mask":
        pixels = pixels[1:-1, 1:-1]
        if pixels.ndim == 2:
            pixels = np.repeat(np.where(pixels >= CUT, 255, 0).astype(np.uint8)[..., None], 3, 2)
    factor = THUMBNAIL / max(pixels.shape[:2])
    if factor >= 1:
        return np.asarray(pixels)
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _refused() -> Response:
    """The same answer whatever the reason, so that it tells nothing."""
    return Response("no such picture", status_code=404, media_type="text/plain")
