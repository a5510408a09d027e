"""What tests of the dashboard in a real browser look at: pixels and accessibility."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

VIEW = "compare?a=v1.tiled&b=v1.resized&image=disc+4"


def assert_same(shown, file, columns=slice(None)):
    """Every pixel of the pane that lies on the image is the file's, whatever the scale."""
    left, top, scale, pixels = shown
    assert scale == int(scale) >= 1
    rows = np.floor((np.arange(pixels.shape[0]) - top) / scale).astype(int)
    across = np.floor((np.arange(pixels.shape[1]) - left) / scale).astype(int)
    inside = np.zeros(pixels.shape[1], bool)
    inside[columns] = True
    rows_in = (rows >= 0) & (rows < file.shape[0])
    across_in = (across >= 0) & (across < file.shape[1]) & inside
    wanted = file[rows[rows_in]][:, across[across_in]]
    if wanted.ndim == 2:
        wanted = np.repeat(wanted[..., None], 3, axis=2)
    assert wanted.size > 10_000
    found = pixels[rows_in][:, across_in]
    assert np.array_equal(found[..., :3], wanted)
    assert (found[..., 3] == 255).all()


STILL = """document.getAnimations().every(
    one => one.playState !== 'running' || one.effect.getComputedTiming().iterations === Infinity
)"""
"""Streamlit fades what it draws anew, and a color half-way there has no contrast."""


def faults_of(page, looks=10):
    """What axe-core finds serious on a page, and still finds when all has been drawn."""
    axe = Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js")
    for _ in range(looks):
        page.wait_for_function(STILL)
        page.evaluate(axe.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        faults = [
            (item["id"], [node["html"][:200] for node in item["nodes"]][:3])
            for item in found
            if item["impact"] in {"serious", "critical"}
        ]
        if not faults:
            return []
        page.wait_for_timeout(500)
    return faults
