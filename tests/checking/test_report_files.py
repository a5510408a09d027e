"""Reports as JSON and HTML: complete, self-contained, and never over a file of the user's."""

import base64
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from faults_to_plant import (
    array_among_images,
    empty_mask,
    folder_among_masks,
    name_in_latin_1,
    saved_again_in_another_split,
    truncated_image,
)

from tiledseg.checking.report_files import write_html, write_json
from tiledseg.errors import OutputError

WRITERS = pytest.mark.parametrize("write", [write_html, write_json])


@pytest.fixture
def report(sound, check):
    for plant in (truncated_image, empty_mask, saved_again_in_another_split):
        plant(sound)
    return check(sound)


def test_json_holds_everything(report, tmp_path):
    write_json(report, tmp_path / "new" / "report.json")
    content = json.loads((tmp_path / "new" / "report.json").read_text())
    assert content["sound"] is False
    assert content["dataset"] == "Tiny"
    assert content["counts"] == {"error": 2, "warning": 0, "note": 1}
    assert [finding["severity"] for finding in content["findings"]] == ["error", "error", "note"]
    copy = content["findings"][0]
    assert copy["code"] == "copy-in-two-splits"
    assert (copy["place"], copy["others"]) == ("test/images/disc10.jpg", ["train/images/disc2.png"])
    assert len(content["images"]) == 11
    first = content["images"][0]
    assert (first["image"], first["height"], first["bits"]) == ("train/images/disc1.png", 96, 8)
    assert first["objects"] >= 1
    assert first["median_side"] > 8


def test_the_page_shows_every_finding_and_loads_nothing(report, tmp_path):
    write_html(report, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    HTMLParser().feed(page)
    for finding in report.findings:
        assert finding.code in page
        assert report.shorten_path(finding.place) in page
    assert "unsound (2 errors, 1 note)" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(pictures[0]), np.uint8), 1)
    assert picture.shape == (96, 96, 3)


def test_one_kind_in_two_severities(sound, check, tmp_path):
    array_among_images(sound)
    folder_among_masks(sound)
    write_html(check(sound), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert 'class="kind warning" id="warning-file-not-read"' in page
    assert 'class="kind note" id="note-file-not-read"' in page


def test_names_are_not_taken_for_markup(sound, check, tmp_path):
    path = sound / "train" / "images" / "<b>&.png"
    path.write_text("not an image")
    write_html(check(sound), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "&lt;b&gt;&amp;.png" in page
    assert "<b>" not in page


@WRITERS
def test_a_previous_report_is_replaced(report, tmp_path, write):
    path = tmp_path / "report"
    write(report, path)
    path.write_text(path.read_text() + "old")
    write(report, path)
    assert not path.read_text().endswith("old")


@WRITERS
def test_anything_else_is_kept(report, tmp_path, write):
    path = tmp_path / "mine"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"mine: exists.*--overwrite"):
        write(report, path)
    assert path.read_text() == "mine"
    with pytest.raises(OutputError, match="is a folder"):
        write(report, tmp_path)
    write(report, path, overwrite=True)
    assert path.read_text() != "mine"


def test_names_that_are_no_text_are_shown_with_signs_of_replacement(sound, check, tmp_path):
    name_in_latin_1(sound)
    report = check(sound)
    write_html(report, tmp_path / "report.html")
    write_json(report, tmp_path / "report.json")
    assert "gr\ufffd\ufffde.png" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["sound"] is False
