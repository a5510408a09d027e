"""The dashboard in a real Chromium, on a store with a trained model.

Every test ends with a look back: no error in the browser's console, no request that left the
machine.
"""

import os
import re
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest
from visitor import PAGES, Visitor, chromium_path, launched

from tiledseg.images.reading import read_image

VIEW = "compare?a=v1.tiled&b=v1.resized&image=disc+4"


def _missing(what):
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"{what}; .ci/run installs it, and nothing may be skipped there")
    pytest.skip(what)


@pytest.fixture(scope="session")
def chromium():
    if find_spec("playwright") is None:
        _missing("Playwright is not installed: pip install playwright")
    path = chromium_path()
    if path is None:
        _missing("Chromium is not installed: apt-get install chromium")
    with launched(path) as browser:
        yield browser


@pytest.fixture
def visit(chromium, server):
    """Makes visitors; looks back on all of them at the end."""
    visitors = []

    def arrive(**settings):
        visitors.append(Visitor(chromium, server.address, **settings))
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        visitor.close()
        assert visitor.faults == []


@pytest.fixture
def visitor(visit):
    return visit()


@pytest.fixture(scope="module")
def files(store):
    """The files that the panes of ``VIEW`` stand for, as pixels."""
    folder = next(store.folder.glob(f"mlruns/*/{store.good}/artifacts/predictions/test"))

    def mask(layer):
        level = cv2.imread(str(folder / layer / "disc 4.png"), cv2.IMREAD_UNCHANGED)
        return np.where(level / 255 >= 0.5, 255, 0).astype(np.uint8)

    return {
        "image": read_image(folder / "image" / "disc 4.png"),
        "target": mask("target"),
        "a": mask("tiled"),
        "b": mask("resized"),
    }


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


GROUND = "+getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/\\d+/)[0]"
"""How much red there is in a page's ground."""


class TestEveryPage:
    @pytest.mark.parametrize("name", PAGES)
    def test_opens_and_is_accessible(self, visitor, name):
        """On a wide screen, in the light and in the dark, and on a phone."""
        page = visitor.open(name)
        assert page.evaluate(GROUND) > 240
        assert faults_of(page) == []
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"{GROUND} < 40")
        assert faults_of(page) == []
        page.set_viewport_size({"width": 390, "height": 844})
        visitor.open(name)
        assert page.locator("[data-testid=stMain]").evaluate("main => main.scrollWidth") <= 390
        assert faults_of(page) == []

    def test_the_checker_sees_faults(self, visitor):
        """A planted fault is found, so that silence means something."""
        page = visitor.open("runs")
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<button></button>')")
        assert "button-name" in [name for name, _ in faults_of(page, looks=1)]


class TestViewer:
    def test_the_champion_is_compared_tiled_against_non_tiled(self, visitor):
        page = visitor.open("compare")
        names = page.locator("figcaption b").all_inner_texts()
        assert names == ["Image", "Target", "Non-tiled (resized)", "Tiled"]
        assert all(item[3].any() for item in visitor.canvases().values())
        page.wait_for_url(re.compile(r"a=v2\.tiled.*b=v2\.resized"))
        assert page.get_by_text("mean Dice over 2 images").count() == 1

    @pytest.mark.parametrize("ratio", [1, 2], ids=["usual screen", "fine screen"])
    def test_the_panes_are_the_files_from_1_to_1_on(self, visit, files, ratio):
        visitor = visit(device_scale_factor=ratio)
        visitor.open(VIEW)
        visitor.viewer()
        visitor.press("m", "e", "1")  # masks alone, without errors
        for keys in ((), ("+", "+", "+"), ("+", "+", "+", "ArrowLeft", "ArrowUp")):  # 1, 4, 7
            visitor.press(*keys)
            shown = visitor.canvases()
            assert set(shown) == set(files)
            for name, file in files.items():
                assert_same(shown[name], file)

    def test_panes_move_together_down_to_single_pixels(self, visitor):
        page = visitor.open(VIEW)
        stage = visitor.viewer()
        fitted = page.locator(".scale").inner_text()
        assert fitted.endswith("%")
        box = stage.bounding_box()
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        for _ in range(40):
            page.mouse.wheel(0, -120)
        page.mouse.down()
        page.mouse.move(box["x"] + 180, box["y"] + 160, steps=4)
        page.mouse.up()
        visitor.ready()
        shown = list(visitor.canvases().values())
        assert len({item[:3] for item in shown}) == 1
        assert shown[0][2] >= 32
        assert page.locator(".scale").inner_text() == f"{shown[0][2]:.0f}:1"
        visitor.press("0")
        assert page.locator(".scale").inner_text() == fitted

    def test_a_drag_goes_on_across_the_border_of_a_pane(self, visitor):
        page = visitor.open(VIEW)
        visitor.viewer()
        visitor.press("1", "+", "+", "+")
        box = page.locator(".stage canvas").first.bounding_box()
        before = visitor.canvases()["a"][:3]
        start = box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"]
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(start[0] + 0.7 * box["width"], start[1] + 20, steps=8)
        page.mouse.up()
        visitor.ready()
        after = visitor.canvases()["a"][:3]
        assert after[2] == before[2]
        assert after[0] - before[0] == pytest.approx(0.7 * box["width"], abs=2)
        assert after[1] - before[1] == pytest.approx(20, abs=2)

    def test_two_fingers_on_two_panes_zoom_by_their_distance(self, visit):
        visitor = visit(has_touch=True)
        page = visitor.open(VIEW)
        visitor.viewer()
        visitor.press("1")
        box = page.locator(".stage canvas").first.bounding_box()
        y = box["y"] + box["height"] / 2
        middle = box["x"] + box["width"]  # the border of the first two panes
        chrome = visitor.context.new_cdp_session(page)

        def fingers(kind, *places):
            points = [{"x": x, "y": y, "id": number} for number, x in enumerate(places)]
            chrome.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        fingers("touchStart", middle - 50)
        fingers("touchStart", middle - 50, middle + 50)
        for apart in (75, 100):
            fingers("touchMove", middle - apart, middle + apart)
        fingers("touchEnd")
        visitor.ready()
        assert visitor.canvases()["a"][2] == pytest.approx(2, abs=0.3)

    def test_errors_have_their_three_colors(self, visitor, files):
        visitor.open(VIEW)
        visitor.viewer()
        visitor.press("m", "1")
        left, top, _, pixels = visitor.canvases()["b"]
        target, mask = files["target"] > 0, files["b"] > 0
        wanted = np.zeros((*target.shape, 3), np.uint8)
        wanted[target & mask] = (255, 255, 255)
        wanted[~target & mask] = (230, 159, 0)
        wanted[target & ~mask] = (86, 180, 233)
        assert_same((left, top, 1, pixels), wanted)
        assert {(86, 180, 233), (0, 0, 0)} <= {tuple(color) for color in wanted.reshape(-1, 3)}

    def test_opacity_outline_and_seams(self, visitor):
        page = visitor.open(VIEW)
        visitor.viewer()
        visitor.press("1", "e")
        before = visitor.canvases()["a"][3]
        page.get_by_label("Opacity of the mask").fill("0")
        visitor.press("l")
        visitor.ready()
        shown = visitor.canvases()
        assert not np.array_equal(before, shown["a"][3])
        assert np.array_equal(shown["a"][3], shown["image"][3])
        page.get_by_role("button", name="Tiles", exact=True).click()
        visitor.ready()
        seamed = visitor.canvases()["image"][3]
        assert ((seamed == [240, 228, 66, 255]).all(axis=2)).any()

    def test_two_panes_are_swiped(self, visitor, files):
        page = visitor.open(VIEW)
        visitor.viewer()
        visitor.press("m", "e", "1", "s")
        ((name, shown),) = visitor.canvases().items()
        assert name == "b|a"
        middle = shown[3].shape[1] // 2
        assert_same(shown, files["b"], slice(0, middle - 2))
        assert_same(shown, files["a"], slice(middle + 2, None))
        divider = page.get_by_role("slider", name="Divider")
        box = divider.bounding_box()
        divider.hover(position={"x": box["width"] / 2, "y": 100})  # waits until it stands still
        page.mouse.down()
        visitor.settle()  # the page runs again, and leaves the divider in the hand
        page.mouse.move(box["x"] + 300, box["y"] + 100, steps=3)
        page.mouse.up()
        divider.press("ArrowRight")
        visitor.ready()
        page.wait_for_function(  # it is drawn a frame after it was moved
            "one => Number(one.getAttribute('aria-valuenow')) > 60", arg=divider.element_handle()
        )
        shown = visitor.canvases()["b|a"]
        assert_same(shown, files["b"], slice(0, middle + 100))

    def test_a_link_opens_the_same_view(self, visit):
        one, two = visit(), visit()
        page = one.open(VIEW)
        one.viewer()
        one.press("1", "+", "+", "ArrowRight", "ArrowDown", "l")
        page.wait_for_url(re.compile(r"view="))
        address = ""
        while address != page.url:  # each key changes it, some time later
            address = page.url
            page.wait_for_timeout(2000)
            one.settle()
        two.open(address.removeprefix(f"{one.address}/"))
        two.viewer()
        for name, shown in one.canvases().items():
            other = two.canvases()[name]
            assert other[:3] == shown[:3]
            assert np.array_equal(other[3], shown[3])

    @pytest.mark.parametrize("place", [".strip", ".scores"])
    def test_another_image_is_opened_by_click_and_by_key(self, visitor, place):
        page = visitor.open(VIEW)
        visitor.viewer()
        page.locator(place).get_by_role("button", name=re.compile("disc 5")).click()
        page.wait_for_url(re.compile(r"image=disc(\+|%20)5"))
        visitor.viewer()
        visitor.press("n")
        page.wait_for_url(re.compile(r"image=disc(\+|%20)4"))

    def test_keys_are_listed(self, visitor):
        page = visitor.open(VIEW)
        visitor.viewer()
        visitor.press("?")
        assert page.get_by_text("one image pixel on one screen pixel").is_visible()
        page.keyboard.press("Escape")


def test_epochs_are_scrubbed(visitor, store):
    page = visitor.open(f"epochs?run={store.good}")
    visitor.viewer()
    visitor.press("m", "e", "1")
    assert page.locator(".frame").inner_text() == "epoch 4 of 4"
    last = visitor.canvases()["tiled"][3]
    visitor.press(",", ",", ",")
    assert page.locator(".frame").inner_text() == "epoch 1 of 4"
    page.wait_for_url(re.compile("epoch=1"))
    visitor.ready()
    left, top, scale, pixels = visitor.canvases()["tiled"]
    assert not np.array_equal(pixels, last)
    folder = next(store.folder.glob(f"mlruns/*/{store.good}/artifacts/images"))
    (name,) = folder.glob("*tiled+step+1+*.png")
    assert_same((left, top, scale, pixels), cv2.imread(str(name), cv2.IMREAD_GRAYSCALE))


def test_epochs_are_kept_in_the_address_when_somebody_chose_one(visitor, store):
    """Opening and moving is no choice: the newest epoch of a training is to be followed."""
    page = visitor.open(f"epochs?run={store.good}")
    visitor.viewer()
    visitor.press("+")
    page.wait_for_url(re.compile("view="))
    page.wait_for_timeout(2000)
    visitor.settle()
    assert "epoch=" not in page.url
    canvas = page.locator(".stage canvas").first.element_handle()
    visitor.press(",")
    page.wait_for_url(re.compile("epoch=3"))
    assert not canvas.evaluate("canvas => canvas.isConnected")
    canvas = page.locator(".stage canvas").first.element_handle()
    page.wait_for_timeout(2000)
    visitor.settle()
    assert canvas.evaluate("canvas => canvas.isConnected")  # running again draws nothing anew


class TestScoreTable:
    def images(self, page):
        return page.locator(".scores tbody th").all_inner_texts()

    def test_a_heading_sorts_up_and_down_and_back(self, visitor):
        page = visitor.open(VIEW)
        gain = page.locator(".scores").get_by_role("columnheader", name="A minus B")
        given = self.images(page)
        sorts, orders = [], []
        for _ in range(3):
            gain.get_by_role("button").click()
            sorts.append(gain.get_attribute("aria-sort"))
            written = page.locator(".scores td:last-child").all_inner_texts()
            orders.append([float(text) for text in written])
        assert sorts == ["ascending", "descending", None]
        assert orders[0] == sorted(orders[0])
        assert orders[1] == orders[0][::-1]
        assert orders[0] != orders[1]
        assert self.images(page) == given

    def test_the_open_image_is_marked_and_a_key_opens_another(self, visitor):
        page = visitor.open(VIEW)
        marked = page.locator(".scores [aria-current=true]")
        assert marked.locator("th").inner_text() == "disc 4"
        page.locator(".scores").get_by_role("button", name="disc 5").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"image=disc(\+|%20)5"))
        marked.filter(has_text="disc 5").wait_for()
        focused = "document.activeElement.shadowRoot?.activeElement ?? document.activeElement"
        assert page.evaluate(f"({focused}).textContent") == "disc 5"  # the reader is where he was


def test_small_pictures_leave_the_connections_to_the_viewer(visitor):
    """A browser asks a server for six things at once; one that waits must not hold up the tiles."""
    held = []

    def hold_back(route):
        held.append(route)

    visitor.page.route("**/thumbnails/**", hold_back)
    visitor.open()
    pictures = visitor.page.locator(".strip img")
    visitor.page.wait_for_timeout(500)
    assert pictures.count() > len(held) == 2
    while held:
        held.pop().continue_()
        visitor.page.wait_for_timeout(50)
    visitor.page.wait_for_function(
        "pictures => pictures.every((one) => one.complete && one.naturalWidth > 0)",
        arg=pictures.element_handles(),
    )


def test_who_left_a_viewer_fetches_nothing_for_it(visitor):
    """Tiles are held back until the visitor has gone, so that some are under way then."""
    page = visitor.open(VIEW)
    stage = visitor.viewer()
    late, held = [], []

    def hold_back(route):
        (held if stage.count() else late).append(route)

    page.route("**/tiles/**", hold_back)
    stage.focus()
    page.keyboard.press("1")
    page.keyboard.press("+")
    while not held:
        page.wait_for_timeout(50)
    page.get_by_role("link", name="Runs", exact=True).click()
    visitor.arrived("runs")
    page.wait_for_timeout(1500)
    page.unroute("**/tiles/**")
    assert late == []


class TestTry:
    IMAGE = "data/Discs/test/images/disc 4.png"

    def upload(self, visitor, path):
        visitor.page.locator("input[type=file]").set_input_files(path)

    def test_an_upload_is_segmented_as_it_was_in_evaluation(self, visitor, store, files):
        page = visitor.open("try?version=1")
        self.upload(visitor, store.folder / self.IMAGE)
        visitor.viewer()
        target = cv2.connectedComponents(files["a"])[0] - 1
        assert page.get_by_text(f"{target} objects", exact=False).count()
        visitor.press("m", "1")
        assert_same(visitor.canvases()["tiled"], files["a"])
        assert_same(visitor.canvases()["image"], files["image"])
        with page.expect_download() as started:
            page.get_by_role("button", name="Tiled mask (PNG)", exact=True).click()
        mask = cv2.imread(str(started.value.path()), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(mask, files["a"])

    def test_bad_files_are_told_and_the_next_good_one_works(self, visitor, store, tmp_path):
        page = visitor.open("try?version=1&mode=resized")
        bad = {
            "words.png": b"these are words",
            "drawing.png": b"<svg></svg>",
            "film.png": b"GIF89a" + bytes(99),
        }
        for name, content in bad.items():
            (tmp_path / name).write_bytes(content)
            self.upload(visitor, tmp_path / name)
            page.get_by_text(f"{name}: ").first.wait_for()
        with (tmp_path / "huge.png").open("wb") as file:
            file.truncate(300 * 2**20)
        self.upload(visitor, tmp_path / "huge.png")
        page.get_by_text(re.compile("200.*MB or smaller")).first.wait_for()
        self.upload(visitor, store.folder / self.IMAGE)
        visitor.viewer()

    def test_two_visitors_do_not_see_each_others_images(self, visit, store):
        one, two = visit(), visit()
        addresses = {one: set(), two: set()}
        for visitor, number in ((one, 4), (two, 5)):
            visitor.page.on(
                "request",
                lambda request, seen=addresses[visitor]: seen.update(
                    re.findall(r"/tiles/(\w+)/", request.url)
                ),
            )
            visitor.open("try?version=1&mode=resized")
            path = store.folder / f"data/Discs/test/images/disc {number}.png"
            self.upload(visitor, path)
            visitor.viewer()
        assert addresses[one] and addresses[two]
        assert not addresses[one] & addresses[two]
        assert "disc 5" not in one.page.content()
        assert "disc 4" not in two.page.content()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{one.address}/tiles/{'0' * 32}/0/0/0")


def test_only_the_best_version_is_promoted(visitor, store):
    mlflow.set_tracking_uri(store.environment["MLFLOW_TRACKING_URI"])
    client = mlflow.MlflowClient()

    def champion():
        return str(client.get_model_version_by_alias("Discs", "champion").version)

    before = champion()
    try:
        client.set_registered_model_alias("Discs", "champion", "2")
        page = visitor.open("models?version=1")
        page.get_by_role("button", name="Promote version 1 to champion").click()
        page.get_by_role("button", name="Leave it").click()
        assert champion() == "2"
        page.get_by_role("button", name="Promote version 1 to champion").click()
        page.get_by_role("button", name="Promote", exact=True).click()
        page.get_by_text("Version 1 of Discs is champion now in place of version 2.").wait_for()
        assert champion() == "1"
        visitor.open("models?version=2")
        page.get_by_role("button", name="Promote version 2 to champion").click()
        page.get_by_role("button", name="Promote", exact=True).click()
        page.get_by_text("Not promoted").wait_for()
        assert champion() == "1"
    finally:
        client.set_registered_model_alias("Discs", "champion", before)
