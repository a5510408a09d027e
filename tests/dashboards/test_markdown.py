"""What users call their things is shown as it is."""

import pytest

from dashboards.markdown import code, escape, without_pictures

PICTURE = "![x](https://example.org/x.png)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b__c", "a\\_b\\_\\_c"),
        (PICTURE, "\\!\\[x\\](https://example.org/x.png)"),
        ("<img src=x>", "\\<img src=x\\>"),
        ("# one", "\\# one"),
        ("two # one", "two # one"),
        ("two\n\n# one", "two # one"),
        ("1. one", "1\\. one"),
        ("12) one", "12\\) one"),
        ("C:\\a", "C:\\\\a"),
        ("plain v1.2, 3/4 (x)", "plain v1.2, 3/4 (x)"),
    ],
)
def test_marks_mean_nothing(text, shown):
    assert escape(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a_b", "`a_b`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("a\nb", "`a b`")],
)
def test_code_cannot_be_left(text, shown):
    assert code(text) == shown


def test_a_description_keeps_its_marks_but_for_pictures():
    text = f"**bold** [link](https://example.org) {PICTURE} ![y][z]"
    assert without_pictures(text) == text.replace("![", "\\![")
