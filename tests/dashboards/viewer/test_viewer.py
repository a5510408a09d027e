"""The viewer in a real Chromium: its panes are the files, pixel by pixel."""

import re

import numpy as np
import pytest
from browser_checks import VIEW, assert_same


class TestViewer:
    def test_the_champion_is_compared_tiled_against_non_tiled(self, visitor):
        page = visitor.open("compare")
        names = page.locator("figcaption b").all_inner_texts()
        assert names == ["Image", "Target", "Non-tiled (resized)", "Tiled"]
        assert all(item[3].any() for item in visitor.canvases().values())
        page.wait_for_url(re.compile(r"a=v2\.tiled.*b=v2\.resized"))
        assert page.get_by_text(re.compile(r"\(2 images\) mean Dice on test")).count() == 1

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
