"""How a sound file is damaged: at random places, and where it hurts."""

import re
import struct
import zlib
from dataclasses import dataclass

from hypothesis import strategies as st

_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
_WORDS = (
    b"&a ", b"*a", b"<<: *a\n", b"!!python/object:os.system ", b"[", b"{", b"]", b"- ", b"? ",
    b"\t", b"\0", b"\xef\xbb\xbf", b"1e999", b".nan", b"~", b'"', b"'", b"%YAML 9.9\n", b"---\n",
    b"...\n", "💥".encode(), b"9" * 400, b"null", b"true", b"\xff\xfe", b"\r", b"#", b":", b",",
    b"\\", b"-1", b"{}", b"[]", b"__import__('os')", b"../../etc/passwd", b"\n\n", b"%s%n",
    b"a" * 5000,
)  # fmt: skip
_NUMBERS = (
    b"0", b"-1", b"1", b"2147483647", b"4294967296", b"1e308", b"9" * 40, b"1.5", b'"x"', b"null",
    b"[]", b"{}", b"true", b"NaN", b"-Infinity",
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Step:
    """One act of damage."""

    kind: str
    place: int
    length: int
    value: int

    def apply(self, data: bytes) -> bytes:
        """The bytes after it."""
        size = max(1, len(data))
        at, length = self.place % size, 1 + self.length % min(size, 4096)
        return _ACTS[self.kind](data, at, length, self.value)


def _flip(data: bytes, at: int, _: int, value: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 + value % 255)]) + data[at + 1 :] if data else data


def _set(data: bytes, at: int, length: int, value: int) -> bytes:
    width, order = (1, 2, 4, 8)[length % 4], "<>"[value % 2]
    number = _EXTREMES[value // 2 % len(_EXTREMES)] % 2 ** (8 * width)
    field = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[width], number)
    return data[:at] + field + data[at + width :]


def _number(data: bytes, at: int, _: int, value: int) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    match = found[at % len(found)]
    return data[: match.start()] + _NUMBERS[value % len(_NUMBERS)] + data[match.end() :]


def _word(data: bytes, at: int, _: int, value: int) -> bytes:
    return data[:at] + _WORDS[value % len(_WORDS)] + data[at:]


_ACTS = {
    "flip": _flip,
    "set": _set,
    "number": _number,
    "word": _word,
    "cut": lambda data, at, length, value: data[:at],
    "drop": lambda data, at, length, value: data[:at] + data[at + length :],
    "double": lambda data, at, length, value: data[: at + length] + data[at:],
    "repeat": lambda data, at, length, value: (
        data[:at] + data[at : at + length] * (1 + value % 200) + data[at + length :]
    ),
    "zero": lambda data, at, length, value: data[:at] + bytes(length) + data[at + length :],
    "swap": lambda data, at, length, value: (
        data[:at] + data[at + length : at + 2 * length] + data[at : at + length]
        + data[at + 2 * length :]
    ),
}  # fmt: skip

_places = st.one_of(st.integers(0, 200), st.integers(0, 2**20))
steps = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(sorted(_ACTS)),
        place=_places,
        length=st.integers(0, 4095),
        value=st.integers(0, 2**16),
    ),
    min_size=1,
    max_size=5,
)


def mend_png(data: bytes) -> bytes:
    """Make the checksums right, so that damage is seen behind them."""
    out, start = data[:8], 8
    while start + 12 <= len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        end = start + 12 + length
        if end > len(data):
            break
        body = data[start + 4 : end - 4]
        out += data[start : start + 4] + body + struct.pack(">I", zlib.crc32(body))
        start = end
    return out + data[start:]
