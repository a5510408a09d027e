"""Take the pictures of the dashboard that the documentation shows, into docs/screenshots.

    python docs/screenshots.py [--folder FOLDER] [--only compare models]

Makes a store on the drawn dataset with the commands that anybody would type: a short training, a
sweep, and a training that is under way while the overview is looked at. Then opens every page in
a real Chromium, light and dark, on a wide screen and on a phone. A folder that is given is kept,
and what was made in it at an earlier time is used again.
"""

import argparse
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import expect

HOUSE = Path(__file__).resolve().parents[1]
sys.path.append(str(HOUSE / "tests" / "dashboards"))
from dashboard_server import start_server, stop_server  # noqa: E402
from visitor import Visitor, chromium_path, launch_browser  # noqa: E402

DATASET = "Synthetic-Cell"
TARGET = Path(__file__).with_name("screenshots")
MOST_BYTES = 300_000
SCREENS = {"wide": (1440, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
SPACE = """
parameters:
  model.base_filters: {type: int, low: 8, high: 16, step: 4}
  training.learning_rate: {type: float, low: 3.0e-4, high: 1.0e-2, log: true}
  training.loss: {type: categorical, choices: [bce, dice, bce_dice]}
"""
QUICK = (
    "--set image.size=128 --set model.num_layers=3 --set model.base_filters=8 "
    "--set training.steps_per_epoch=40 --set training.learning_rate=0.01 "
    "--set training.warmup_steps=5 --set training.validation_tiles=16 "
    "--set training.max_minutes=null"
)
"""Small enough to learn in a minute."""
TRAIN = f"train --dataset {DATASET} {QUICK} --set training.epochs=6"
SWEEP = (
    f"sweep --dataset {DATASET} {QUICK} --space quick.yaml "
    "--trials 8 --trial-epochs 2 --pruner none"
)
PAGES = {
    "overview": "",
    "runs": "runs",
    "compare": "compare",
    "close-up": "compare?view=1010,1020,3;image.b.a;45mel;b.a;0.5",
    "swipe": "compare?view=1010,1020,2;image.b.a;45mels;b.a;0.5",
    "epochs": "epochs",
    "sweeps": "sweeps",
    "models": "models",
    "try": "try",
}
"""Name of the picture to the address."""

logger = logging.getLogger(__name__)


def main() -> None:
    """Make the store and take the pictures."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", nargs="*", choices=PAGES, default=list(PAGES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        environment = {
            "TILEDSEG_DATA": str(folder / "data"),
            "TILEDSEG_CACHE": str(folder / "cache"),
            "TILEDSEG_STATE": str(folder / "state"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{(folder / 'mlflow.db').as_posix()}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        make_store(folder, environment)
        server = start_server(environment, folder)
        running = None
        try:
            if "overview" in options.only:
                running = start_command(folder, environment, f"train --dataset {DATASET}")
            take_pictures(server.address, folder, options.only)
        finally:
            stop_server(server)
            if running is not None:
                running.terminate()
                running.wait()


def make_store(folder: Path, environment: Mapping[str, str]) -> None:
    """Train and search, unless it was done before."""
    experiments = folder / "experiments"
    experiments.mkdir(parents=True, exist_ok=True)
    shutil.copy(HOUSE / "experiments" / f"{DATASET}.yaml", experiments)
    (folder / "quick.yaml").write_text(SPACE, encoding="utf-8")
    for name, command in (("training", TRAIN), ("sweep", SWEEP)):
        done = folder / f"{name}.done"
        if not done.exists():
            logger.info("tiledseg %s", command)
            if start_command(folder, environment, command).wait():
                sys.exit(f"it failed; see {folder / 'commands.log'}")
            done.touch()


def start_command(
    folder: Path, environment: Mapping[str, str], command: str
) -> "subprocess.Popen[bytes]":
    """Start a command of tiledseg; its output goes into the log."""
    with (folder / "commands.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tiledseg", *command.split()],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def take_pictures(address: str, folder: Path, names: list[str]) -> None:
    """Every page, on every screen, in every scheme."""
    path = chromium_path()
    if path is None:
        sys.exit("Chromium is needed: apt-get install chromium")
    TARGET.mkdir(exist_ok=True)
    upload = sorted((folder / "data" / DATASET / "test" / "images").iterdir())[0]
    with launch_browser(path) as browser:
        if "overview" in names:
            visitor = Visitor(browser, address)
            visitor.open().get_by_text(re.compile("epoch [2-9]")).wait_for(timeout=600_000)
            visitor.close()
        for scheme in SCHEMES:
            for screen, (width, height) in SCREENS.items():
                size = {"width": width, "height": height}
                visitor = Visitor(browser, address, viewport=size, color_scheme=scheme)
                for name in names:
                    page = visitor.open(PAGES[name])
                    if name == "try":
                        page.locator("input[type=file]").set_input_files(upload)
                        visitor.viewer()
                    page.mouse.move(0, 0)
                    skeletons = page.locator("[data-testid=stSkeleton]")
                    expect(skeletons).to_have_count(0, timeout=60_000)
                    page.wait_for_timeout(1500)  # charts draw after the script has run
                    keep(page.screenshot(), TARGET / f"{name}-{scheme}-{screen}.webp")
                visitor.close()


def keep(png: bytes, target: Path) -> None:
    """Write a picture as WebP, as well as its size allows."""
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    for quality in (90, 80, 70, 60, 50):
        _, data = cv2.imencode(".webp", pixels, (cv2.IMWRITE_WEBP_QUALITY, quality))
        if data.size <= MOST_BYTES:
            break
    target.write_bytes(data.tobytes())
    logger.info("%s, %d KB", target.name, data.size // 1000)


if __name__ == "__main__":
    main()
