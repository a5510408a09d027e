"""The server: Streamlit's pages and the routes for tiles in one process."""

import gc
import inspect
import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from streamlit.web import bootstrap

from dashboards import private_folders
from dashboards.access import OwnPagesOnly, SecurityHeaders
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


def build_app(hosts: Sequence[str] | None = None, public: str | None = None) -> Any:
    """The ASGI application; arguments as those of ``OwnPagesOnly``."""
    routes = [*tile_routes(), *page_routes(["", *LISTED])]
    middleware = [
        Middleware(SecurityHeaders),
        Middleware(OwnPagesOnly, hosts=hosts, public=public),
    ]
    return st.App(SCRIPT, routes=routes, middleware=middleware)


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
    hosts, public = _names_of(host)
    if hosts is not None:  # another site's page must not reach it under a name of its own
        chosen["server.allowedHosts"] = [*hosts, public] if public else hosts
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
    private_folders.home()  # what a killed server has left goes before anybody comes
    _collect_garbage_seldom()
    queries = threading.Thread(target=_warm_up, daemon=True)
    queries.start()
    queries.join(WARM_UP_SECONDS)
    build_app(*_names_of(host)).run(config=chosen)


def _names_of(host: str) -> tuple[list[str] | None, str | None]:
    """The names that a server at an address is called by, if known, and by way of a proxy."""
    public = os.environ.get(PUBLIC_NAME)
    return list(LOCAL) if host in LOCAL else None, public.lower() if public else None


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
