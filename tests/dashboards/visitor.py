"""One person with a real Chromium, and what went wrong meanwhile."""

import base64
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = {
    "": "Overview",
    "runs": "Runs",
    "compare": "Compare",
    "epochs": "Epochs",
    "sweeps": "Sweeps",
    "models": "Models",
    "try": "Try a model on an image",
}
"""Name in the address to heading."""
PATIENCE = 120_000
"""Milliseconds; generous, because a busy machine is no fault."""
POLLING = 40
"""Milliseconds between two looks at a page; Playwright's own waiting looks every half second once
a page takes longer than that, which would be added to what is measured."""
HEADED = "name => [...document.querySelectorAll('h1')].some(one => one.innerText.trim() === name)"
HAS = """selector => {
    const within = root => root.querySelector(selector) ||
        [...root.querySelectorAll("*")].some(one => one.shadowRoot && within(one.shadowRoot));
    return Boolean(within(document));
}"""
READ_BACK = """canvases => canvases.filter(c => c.dataset.pane).map(canvas => {
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    let text = "";
    for (let i = 0; i < data.length; i += 32768)
        text += String.fromCharCode.apply(null, data.subarray(i, i + 32768));
    return [canvas.dataset.pane, +canvas.dataset.left, +canvas.dataset.top,
            +canvas.dataset.scale, width, height, btoa(text)];
})"""


def chromium_path() -> str | None:
    """The system's browser, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launch_browser(path: str) -> Iterator["Browser"]:
    """A headless browser.

    Raises:
        ImportError: Playwright is not installed.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """A browser context of its own at a dashboard's address."""

    def __init__(self, browser: "Browser", address: str, **settings: Any) -> None:
        self.address = address
        settings = {"viewport": {"width": 1440, "height": 900}, **settings}
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.faults: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text}")

    def _asked(self, url: str) -> None:
        place = re.escape(self.address.partition("://")[2])
        if not re.match(rf"(https?|wss?)://{place}/|data:|blob:", url):
            self.faults.append(f"request that left the machine: {url}")

    def open(self, path: str = "") -> "Page":
        """Open a page by its address; returns when it is there."""
        self.page.goto(f"{self.address}/{path}")
        self.arrived(path.partition("?")[0])
        return self.page

    def arrived(self, name: str) -> None:
        """Until a page is there, and the viewer, where it has one, has all its tiles."""
        self.page.wait_for_function(HEADED, arg=PAGES[name], polling=POLLING)
        self.page.get_by_role("heading", name=PAGES[name], exact=True, level=1).wait_for()
        self.settle()
        if name in {"compare", "epochs"}:
            self.viewer()

    def settle(self) -> None:
        """Until the script has run."""
        self._has("[data-test-connection-state=CONNECTED][data-test-script-state=notRunning]")

    def viewer(self) -> "Locator":
        """The panes of the viewer."""
        self._has(".stage")
        self.ready()
        return self.page.locator(".stage")

    def ready(self) -> None:
        """Until everything that is visible in the panes is drawn from its own tiles."""
        self._has(".stage[data-ready=true]")

    def _has(self, selector: str) -> None:
        """Until there is one such element, and it can be seen."""
        self.page.wait_for_function(HAS, arg=selector, polling=POLLING)
        self.page.locator(selector).wait_for()

    def press(self, *keys: str) -> None:
        """Press keys in the viewer."""
        self.page.locator(".stage").focus()
        for key in keys:
            self.page.keyboard.press(key)
        self.ready()

    def canvases(self) -> dict[str, tuple[int, int, float, np.ndarray]]:
        """Pane to (left, top, scale, pixels), read back from the canvas."""
        found = {}
        shown = self.page.locator("canvas").evaluate_all(READ_BACK)
        for pane, left, top, scale, width, height, data in shown:
            pixels = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
            found[pane] = (left, top, scale, pixels)
        return found

    def close(self) -> None:
        """Leave."""
        self.context.close()
