"""Every page in a real browser: it opens, and axe-core finds no serious fault."""

import pytest
from browser_checks import faults_of
from visitor import PAGES

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
