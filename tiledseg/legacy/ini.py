"""Lines of a ``train_eval_infer.config``: sections and keys as text, nothing evaluated.

The source program reads these files with Python's ``configparser``. That stops at the first
oddity; here odd lines are kept and reported, so that the rest of the file is of use.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tiledseg.config.regular_files import open_regular
from tiledseg.errors import ExperimentError

MOST_BYTES = 250_000
"""Real files have two to eight kilobytes; what is larger is something else."""
LONGEST = 2000
"""Characters of a value that are kept; a longer one is unreadable anyway."""

_SECTION = re.compile(r"\[(?P<name>[^\]]+)\]")
_KEY = re.compile(r"(?P<key>[^=:\[\](){},'\"]+)[=:](?P<text>.*)")
_BINARY = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Entry:
    """One key of the file, or a line that is none (then its key is empty).

    Attributes:
        line: Line number, from 1.
        section: Name in brackets, in lower case; empty before the first.
        key: In lower case, as ``configparser`` has it.
        text: What stands behind the equals sign, or the line.
        is_header: The line begins a section that the file has begun before.
    """

    line: int
    section: str
    key: str
    text: str
    is_header: bool = False


def read_text(path: Path) -> str:
    """The text of a configuration file, in UTF-8, UTF-16 with its mark, or an 8-bit encoding.

    Raises:
        ExperimentError: The file is missing, unreadable, far too large, or no text.
    """
    try:
        with open_regular(path) as file:
            raw = file.read(MOST_BYTES + 1)
            size = path.stat().st_size
    except FileNotFoundError:
        raise ExperimentError(f"{path}: no such configuration file") from None
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read ({error.strerror})") from None
    if len(raw) > MOST_BYTES:
        raise ExperimentError(
            f"{path}: {size / 1e6:.1f} MB is no configuration file; one has a few kilobytes, give "
            "a train_eval_infer.config"
        )
    text = _decode(raw)
    if text is None or _BINARY.search(text):
        raise ExperimentError(
            f"{path}: holds bytes that are no text; give a train_eval_infer.config (INI)"
        )
    return text


def read_entries(text: str, source: str) -> list[Entry]:
    """Every key of the file, in order, with lines that are neither key nor comment.

    Args:
        text: The file.
        source: Names the file in errors.

    Raises:
        ExperimentError: There is not one key under a section.
    """
    entries: list[Entry] = []
    section, indent, begun = "", 0, set[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        depth = len(line) - len(line.lstrip())
        last = entries[-1] if entries else None
        if last and last.section == section and depth > indent and _continues_value(last, stripped):
            longer = f"{last.text}\n{stripped}"[: LONGEST + 1]
            entries[-1] = Entry(last.line, last.section, last.key, longer)
            continue
        header, pair = _SECTION.match(stripped), _KEY.fullmatch(stripped)
        if header:
            section = header["name"].strip().lower()
            if section in begun:
                entries.append(Entry(number, section, "", header[0], is_header=True))
            begun.add(section)
        elif pair:
            indent = depth
            key, value = pair["key"].strip().lower(), pair["text"].strip()
            entries.append(Entry(number, section, key, value[: LONGEST + 1]))
        else:
            entries.append(Entry(number, section, "", stripped[: LONGEST + 1]))
    if not any(entry.section and entry.key for entry in entries):
        found = "is empty" if not text.strip() else "has no key under a [section]"
        raise ExperimentError(
            f"{source}: {found}; give a train_eval_infer.config with sections [model] and [train]"
        )
    return entries


def is_cut_off(text: str, entries: Sequence[Entry]) -> bool:
    """Whether the last line of a file breaks off: no key at all, or a value that never closes."""
    lines = [line for line in text.splitlines() if line.strip()]
    last = entries[-1]
    ends_here = bool(lines) and lines[-1].strip().endswith(last.text.rpartition("\n")[2])
    if text.endswith(("\n", "\r")) or not ends_here or last.is_header:
        return False
    return not last.key or not last.text or not _is_closed(last.text)


def _is_closed(text: str) -> bool:
    """Whether quotes and brackets that a value opens are closed again."""
    quote, depth = "", 0
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        else:
            depth += (sign in "([{") - (sign in ")]}")
    return not quote and depth <= 0


def _continues_value(last: Entry, line: str) -> bool:
    """Whether an indented line belongs to the value above it and is no key of its own."""
    if not last.key:
        return False
    opened = sum(last.text.count(bracket) for bracket in "([{")
    closed = sum(last.text.count(bracket) for bracket in ")]}")
    return opened > closed or not (_KEY.fullmatch(line) or _SECTION.match(line))


def _decode(raw: bytes) -> str | None:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:  # names in comments may be in any code page; Latin-1 takes every byte
        encodings = ["utf-8-sig", "latin-1"]
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None
