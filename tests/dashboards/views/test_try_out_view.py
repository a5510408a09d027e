"""The page Try."""

import re
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest
from browser_checks import assert_same
from page_script import open_page
from test_uploads import BAD


class TestUploads:
    def test_a_hundred_bad_files_are_told_one_after_another(self, at_store):
        """Through the page itself; it lives on, and nothing is left in the visitor's folder."""
        page = open_page("try")
        for name, data, words_ in BAD:
            shown = f"{name.rpartition('.')[0]}.png"  # other endings do not pass the browser
            page.file_uploader(key="upload").set_value((shown, data, "image/png"))
            page.run()
            assert not page.exception
            (told,) = page.error
            assert told.value.startswith(f"{shown}: ")
            assert words_ in told.value
        page.file_uploader(key="upload").set_value(None)
        page.run()
        assert not page.error


class TestInBrowser:
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
