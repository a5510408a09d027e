"""Texts of users within Markdown, which Streamlit reads nearly everywhere.

A dataset may be called ``![x](https://example.org/x.png)``: as Markdown that fetches a picture from
another host, and shows no name.
"""

import re

_MARKS = re.compile(r"[\\`*_\[\]<>!|~$&]|^[#+=-]|^(\d+)(?=[.)])")
"""What means something anywhere in Markdown as Streamlit reads it, or at the start of a line."""
_PICTURE = re.compile(r"!(?=\[)")


def escape(text: str) -> str:
    """Markdown that shows a text as it is, in one line."""
    return _MARKS.sub(_escape_mark, " ".join(text.split()))


def code(text: str) -> str:
    """A text as code within a line: marks mean nothing there, but for the one that ends it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if longest else ""
    return f"{fence}{blank}{' '.join(text.split())}{blank}{fence}"


def without_pictures(text: str) -> str:
    """Markdown of somebody else, its pictures as links: they could lie on any host."""
    return _PICTURE.sub(r"\\!", text)


def _escape_mark(found: re.Match[str]) -> str:
    number = found.group(1)  # it would begin a list: the mark behind it is escaped
    return f"{number}\\" if number else f"\\{found.group()}"
