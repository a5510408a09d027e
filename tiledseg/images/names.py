"""Names of files, which on Linux are bytes and need not be text.

An archive made on Windows may leave names in Latin-1. Python carries such bytes along in text, but
neither files of UTF-8 nor databases take them.
"""

import hashlib
import os
import unicodedata

_MOST_BYTES = 255
"""Of a name, on all common file systems."""


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(name: str) -> str:
    """A name with a sign of replacement for each byte that is no UTF-8."""
    return name if is_text(name) else os.fsencode(name).decode(errors="replace")


def small_difference(one: str, other: str) -> str:
    """How two names differ that look alike; empty where they are equal, or differ in more."""
    if one == other:
        return ""
    composed = [unicodedata.normalize("NFC", name) for name in (one, other)]
    if composed[0] == composed[1]:
        return "only in the Unicode form of its accents"
    if composed[0].casefold() == composed[1].casefold():
        return "only in upper and lower case"
    return ""


def hidden_name(name: str, end: str) -> str:
    """A name for what goes with a file or folder: ``.NAME`` and an end.

    A name that would be too long for a file system is cut, and told from others by a digest.

    Args:
        name: Of the file or folder.
        end: Such as ``.lock``; ASCII.
    """
    hidden = f".{name}"
    if len(os.fsencode(hidden)) + len(end) <= _MOST_BYTES:
        return hidden + end
    digest = "-" + hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()
    while len(os.fsencode(hidden)) + len(digest) + len(end) > _MOST_BYTES:
        hidden = hidden[:-1]
    return hidden + digest + end
