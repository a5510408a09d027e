"""No key of an element is made of a user's text."""

import ast
from pathlib import Path

import dashboards
from dashboards.keys import widget_key

HOME = Path(dashboards.__file__).parent


def test_texts_are_told_apart_and_not_held():
    keys = {widget_key("strip", *texts) for texts in (("a__b",), ("a", "b"), ("ab",), ("a_b",), ())}
    assert len(keys) == 5
    assert widget_key("strip", "a__b") == widget_key("strip", "a__b")
    assert all("__" not in key and "a" not in key.partition("-")[0] for key in keys - {"strip"})
    assert widget_key("strip", "gr\udcf6\u00dfe")


def test_every_key_is_a_constant_or_made_by_widget_key():
    """``key`` and ``name`` of a parameter are passed on; sorting has keys of another kind."""
    found = []
    for file in HOME.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "key":
                text = ast.unparse(node.value)
                is_plain = isinstance(node.value, ast.Constant | ast.Lambda) or text == "key"
                if not is_plain and not text.startswith("widget_key("):
                    found.append(f"{file.name}:{node.value.lineno}: {text}")
    assert not found
