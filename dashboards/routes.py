"""Routes beside Streamlit's own: tiles, thumbnails, and the page itself."""

import logging
from collections.abc import Iterable
from pathlib import Path

from anyio import from_thread
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from streamlit import config, file_util

from dashboards.decoding import take_turn
from dashboards.pictures import find
from dashboards.pyramids import encode_tile, open_pyramid
from dashboards.thumbnails import thumbnail
from tiledseg.errors import TiledsegError

TILES = "tiles"
_MOST_DIGITS = 9
THUMBNAILS = "thumbnails"
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


class BoundNumber(Convertor[int]):
    """A number in an address; Python refuses to read one of thousands of digits."""

    regex = "[0-9]+"

    def convert(self, value: str) -> int:
        """From the address; one that no tile has where it is too long."""
        return int(value) if len(value) < _MOST_DIGITS else 10**_MOST_DIGITS

    def to_string(self, value: int) -> str:
        """For an address."""
        return str(value)


register_url_convertor("bound", BoundNumber())


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
        Route(
            f"{base()}/{TILES}/{{address}}/{{level:bound}}/{{column:bound}}/{{row:bound}}",
            serve_tile,
        ),
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
        return _refuse()
    try:
        pyramid = open_pyramid(picture.path, picture.kind, label=picture.label)
        pixels = pyramid.tile(*place)
    except TiledsegError as error:
        logger.info("tile refused: %s", error)
        return _refuse()
    exact = picture.kind == "mask" or place[0] == 0
    data, kind = encode_tile(pixels, exact=exact)
    return Response(data, media_type=kind, headers=HEADERS)


def serve_thumbnail(request: Request) -> Response:
    """A small picture; a mask is painted over its image."""
    picture = find(request.path_params["address"])
    if picture is None:
        return _refuse()
    try:
        with take_turn(urgent=False):
            if from_thread.run(request.is_disconnected):  # the reader has left the page meanwhile
                return _refuse()
            pixels = thumbnail(picture)
    except TiledsegError as error:
        logger.info("thumbnail refused: %s", error)
        return _refuse()
    data, kind = encode_tile(pixels, exact=False)
    return Response(data, media_type=kind, headers=HEADERS)


def _refuse() -> Response:
    """The same answer whatever the reason, so that it tells nothing."""
    return Response("no such picture", status_code=404, media_type="text/plain")
