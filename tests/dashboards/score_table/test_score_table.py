"""The table of scores in a real Chromium."""

import re

from browser_checks import VIEW


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
