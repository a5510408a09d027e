"""The server: Streamlit's pages and the routes for tiles in one process."""

import gc
import inspect
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.web import bootstrap

from dashboards.routes import page_routes, tile_routes
from dashboards.run_table import run_table
from dashboards.uploads import MOST_MEGABYTES
from dashboards.views import LISTED
from tiledseg.errors import TiledsegError
from tiledseg.tracking import queries

SCRIPT = Path(__file__).with_name("main.py")
LOCAL = ("127.0.0.1", "localhost", "::1")
PUBLIC_NAME = "STREAMLIT_BROWSER_SERVER_ADDRESS"
"""Variable with the name under which a proxy makes the dashboard known."""

WARM_UP_SECONDS = 8.0
"""How long the first answer waits for the runs of a store, a thousand or two; it shares this
process's one interpreter with whoever reads them."""

LIGHT = {
    "primaryColor": "#0b6380",
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f3f5f6",
    "textColor": "#1d2529",
    "linkColor": "#0b6380",
    "borderColor": "#d4dadd",
    "codeTextColor": "#1d2529",
}
DARK = {
    "primaryColor": "#4db4d3",
    "backgroundColor": "#14181b",
    "secondaryBackgroundColor": "#1f2529",
    "textColor": "#e9eef0",
    "linkColor": "#7cc7de",
    "borderColor": "#3a444a",
    "codeTextColor": "#e9eef0",
}


class SecurityHeaders:
    """Middleware that adds headers against framing and content sniffing.

    Args:
        app: The application that answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add headers to its answer."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("X-Frame-Options", "SAMEORIGIN")
                headers.setdefault("Referrer-Policy", "same-origin")
            await send(message)

        await self._app(scope, receive, add if scope["type"] == "http" else send)


def build_app() -> Any:
    """The ASGI application."""
    routes = [*tile_routes(), *page_routes(["", *LISTED])]
    return st.App(SCRIPT, routes=routes, middleware=[Middleware(SecurityHeaders)])


def settings(host: str, port: int) -> dict[str, Any]:
    """Streamlit's settings for a server at an address."""
    chosen: dict[str, Any] = {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.maxUploadSize": MOST_MEGABYTES,
        "server.fileWatcherType": "none",
        "runner.postScriptGC": False,  # tiles would wait for it; see _collect_garbage_seldom
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "theme.baseRadius": "0.5rem",
        "theme.headingFontSizes": ["1.6rem", "1.35rem", "1.15rem", "1.05rem", "1rem", "1rem"],
    }
    if host in LOCAL:  # another site's page must not reach it under a name of its own
        public = os.environ.get(PUBLIC_NAME)
        chosen["server.allowedHosts"] = [*LOCAL, public] if public else list(LOCAL)
    for name, colors in (("light", LIGHT), ("dark", DARK)):
        chosen.update({f"theme.{name}.{key}": value for key, value in colors.items()})
    return chosen


def serve(host: str = "127.0.0.1", port: int = 8501) -> None:
    """Serve the dashboard until it is stopped.

    Args:
        host: Address to listen on; 127.0.0.1 is reached from this machine alone.
        port: Port to listen on.

    Raises:
        TiledsegError: The address cannot be listened on.
    """
    _check_free(host, port)
    chosen = settings(host, port)
    bootstrap.load_config_options(chosen)  # before the routes ask where they are
    _collect_garbage_seldom()
    queries = threading.Thread(target=_warm_up, daemon=True)
    queries.start()
    queries.join(WARM_UP_SECONDS)
    build_app().run(config=chosen)


def _check_free(host: str, port: int) -> None:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TiledsegError(
            f"cannot listen on {host} port {port} ({reason}); choose another with --port or --host"
        ) from None


def _collect_garbage_seldom() -> None:
    """A thousand runs are a hundred thousand objects to read.

    At Python's thresholds half of the time goes into looking for garbage, among the modules
    above all, which never are.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


def _warm_up() -> None:
    """Read a large store before its first visitor would wait for that."""
    inspect.stack()  # Streamlit does with its first element; Python then looks for all modules
    with suppress(TiledsegError):
        queries.read_versions()
        run_table().runs()
    gc.collect()
    gc.freeze()  # the runs are kept, too
