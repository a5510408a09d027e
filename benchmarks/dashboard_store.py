"""How quick the dashboard is on a large store, and how much memory large images leave it with.

    python benchmarks/dashboard_store.py [--runs 1000] [--epochs 40] [--images 50] [--side 4096]

Writes a store into a temporary folder (or into ``--folder``, where a later run finds it again),
starts ``tiledseg dashboard`` on it and opens its pages in a real Chromium. Prints the seconds
until each page is complete, pictures included, by its address in a browser without a cache, and
by a click within the application; then the server's memory while images are opened one after
another, each zoomed to its own pixels. After each figure: its share of the limit.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import mlflow
import psutil
from large_store import write_pictures, write_runs
from playwright.sync_api import Browser

HOUSE = Path(__file__).resolve().parents[1]
sys.path.append(str(HOUSE / "tests" / "dashboards"))
from dashboard_server import Server, start_server, stop_server  # noqa: E402
from visitor import PAGES, Visitor, chromium_path, launch_browser  # noqa: E402

FIRST_LIMIT, OTHER_LIMIT = 3.0, 2.0
"""Seconds."""
MEMORY_LIMIT = 1.5
"""GB."""
NAVIGATION = {"": "Overview", "try": "Try"}
"""Words of the links where they are not the page's heading."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--side", type=int, default=4096)
    options = parser.parse_args()
    path = chromium_path()
    if path is None:
        sys.exit("Chromium is needed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        environment = {
            "MLFLOW_TRACKING_URI": f"sqlite:///{(folder / 'mlflow.db').as_posix()}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "TILEDSEG_CACHE": str(folder / "cache"),
        }
        os.environ.update(environment)
        make_store(folder, options)
        with launch_browser(path) as browser:
            measure_pages(browser, environment, folder)
            measure_memory(browser, environment, folder, options.images)


def make_store(folder: Path, options: argparse.Namespace) -> None:
    """Write the store, unless it is there."""
    if (folder / "mlflow.db").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    champion = write_runs(folder, options.runs, options.epochs)
    write_pictures(champion, options.images, options.side, options.epochs)
    print(f"store of {options.runs} runs made in {time.perf_counter() - began:.0f} s")


def measure_pages(browser: Browser, environment: Mapping[str, str], folder: Path) -> None:
    """The first page of a server that has just been started, then every page."""
    print(f"{'page':<12}{'by address':>12}{'by click':>12}   share of the limit")
    server = start_server(dict(environment), folder)
    try:
        clicked = by_click(browser, server)
        for name in PAGES:
            visitor = Visitor(browser, server.address)
            began = time.perf_counter()
            visitor.open(name)
            seconds = time.perf_counter() - began
            visitor.close()
            limit = OTHER_LIMIT if name else FIRST_LIMIT
            share = max(seconds, clicked[name]) / limit
            print(
                f"{name or 'overview':<12}{seconds:>10.2f} s{clicked[name]:>10.2f} s{share:>12.2f}"
            )
    finally:
        stop_server(server)


def by_click(browser: Browser, server: Server) -> dict[str, float]:
    """Seconds of each page within one visit; the first is the server's very first page."""
    visitor = Visitor(browser, server.address)
    seconds = {}
    for name, heading in PAGES.items():
        began = time.perf_counter()
        if name:
            visitor.page.get_by_role("link", name=NAVIGATION.get(name, heading), exact=True).click()
            visitor.arrived(name)
        else:
            visitor.open(name)
        seconds[name] = time.perf_counter() - began
    visitor.close()
    return seconds


def measure_memory(
    browser: Browser, environment: Mapping[str, str], folder: Path, images: int
) -> None:
    """Resident memory of the server while a visitor goes through the images."""
    server = start_server(dict(environment), folder)
    try:
        process = psutil.Process(server.process.pid)
        visitor = Visitor(browser, server.address)
        visitor.open("compare?order=by+name")
        sizes = [process.memory_info().rss / 1e9]
        for number in range(images):
            stem = f"field_{number:03d}"
            visitor.page.locator(f".stage[data-picture$='{stem}']").wait_for()
            visitor.ready()
            visitor.press("1")
            visitor.press("0")
            sizes.append(process.memory_info().rss / 1e9)
            visitor.press("n")
        visitor.close()
    finally:
        stop_server(server)
    most = max(sizes)
    print(
        f"memory: {sizes[0]:.2f} GB at first, {sizes[-1]:.2f} after {images} images, at most "
        f"{most:.2f}; {most / MEMORY_LIMIT:.2f} of the limit"
    )


if __name__ == "__main__":
    main()
