"""An imported configuration as the YAML of an experiment, with a comment on every key."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiledseg.config.strict_yaml import to_yaml
from tiledseg.errors import OutputError
from tiledseg.images.atomic import atomic_file
from tiledseg.legacy.ini import Entry, is_cut_off, read_entries, read_text
from tiledseg.legacy.reader import SECTIONS, Note, Reader, Setting
from tiledseg.legacy.translation import translate

SUFFIXES = frozenset({".config", ".ini", ".cfg"})
"""Endings of the files that are read as the source program's."""

_WIDTH = 96
_FOLDERS_SHOWN = 3
_HEADINGS = {
    "ending": "The source program ends with this file.",
    "unreadable": "Unreadable: the source program used its default, where it has one, and so does "
    "this.",
    "unavailable": "With an effect there, and not available here.",
    "different": "Different here, though no key says so.",
    "elsewhere": "No settings here: arguments of commands, the MLflow run, or always so.",
    "ignored": "Without an effect, there and here.",
}
_DIFFERENCES = (
    "Always different from the source program: it resized every image to the network's input; "
    "here crops are drawn from images at full size, so tiles need not be cut beforehand. Images "
    "are split into train, valid and test by their folders."
)


@dataclass(frozen=True)
class ImportedConfig:
    """A configuration file, translated.

    Attributes:
        source: The file.
        dataset: The dataset's name; also the name that the YAML should have.
        text: The YAML, with comments.
        settings: What it sets, section by section.
        notes: What became of the other keys, and what else is different.
    """

    source: Path
    dataset: str
    text: str
    settings: dict[str, dict[str, Any]]
    notes: tuple[Note, ...]

    def count(self, kind: str) -> int:
        """How many notes are of a kind, for example ``unavailable``."""
        return sum(note.kind == kind for note in self.notes)


def import_config(path: Path) -> ImportedConfig:
    """Translate a ``train_eval_infer.config``; no text of it is ever evaluated.

    Args:
        path: The file.

    Raises:
        ExperimentError: The file is missing, no text, far too large, or holds no keys.
    """
    text = read_text(path)
    entries = read_entries(text, str(path))
    stem = path.parent.name if path.stem.startswith("train_eval_infer") else path.stem
    reader = translate(entries, stem)
    if is_cut_off(text, entries):
        words = f"line {entries[-1].line}, the last, breaks off: the file seems to be cut off"
        reader.tell("ending", words)
    settings: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for setting in reader.settings:
        settings[setting.section][setting.key] = setting.value
    return ImportedConfig(
        source=path,
        dataset=settings["dataset"]["name"],
        text="\n".join(_lines(path, reader)) + "\n",
        settings=settings,
        notes=tuple(reader.notes),
    )


def write_experiments(configs: Sequence[ImportedConfig], folder: Path) -> list[Path]:
    """Write each configuration as ``FOLDER/DATASET.yaml``; nothing is overwritten.

    Several of one dataset are numbered: ``Tiled-Cell.yaml``, ``Tiled-Cell-2.yaml``.

    Returns:
        The files, in the order of the configurations.

    Raises:
        OutputError: A file exists already, or the folder cannot be written; then nothing new is
            written.
    """
    paths: list[Path] = []
    for config in configs:
        number = 1
        path = folder / f"{config.dataset}.yaml"
        while path in paths:
            number += 1
            path = folder / f"{config.dataset}-{number}.yaml"
        paths.append(path)
    present = [path for path in paths if path.exists()]
    if present:
        raise _exists(present)
    for config, path in zip(configs, paths, strict=True):
        try:
            with atomic_file(path, replace=False) as file:
                file.write(config.text.encode())
        except FileExistsError:  # since just now
            raise _exists([path]) from None
    return paths


def _exists(paths: Sequence[Path]) -> OutputError:
    names = ", ".join(map(str, paths))
    return OutputError(f"{names}: exists, and is not overwritten; give another folder with --out")


def _lines(path: Path, reader: Reader) -> Iterator[str]:
    yield from _comment(f"Imported from {_name_file(path)}. {_DIFFERENCES}")
    for section in SECTIONS:
        yield f"{section}:"
        for setting in reader.settings:
            if setting.section == section:
                yield from _setting(setting)
    for kind, heading in _HEADINGS.items():
        notes = [note for note in reader.notes if note.kind == kind]
        if notes:
            yield ""
            yield from _comment(heading)
            for note in sorted(notes, key=lambda note: note.entry.line if note.entry else 0):
                key = f"{_name_key(note.entry)}: " if note.entry else ""
                yield from _comment(f"{key}{note.words}", "  ")


def _setting(setting: Setting) -> Iterator[str]:
    pair = textwrap.indent(to_yaml({setting.key: setting.value}).strip(), "  ")
    sources = "; ".join(map(_name_key, setting.entries))
    remark = "; ".join(filter(None, (sources or setting.origin, setting.words)))
    line = f"{pair:<34}  # {remark}"
    if len(line) <= _WIDTH and "\n" not in pair:
        yield line
    else:
        yield from (f"  {line}" for line in _comment(remark))
        yield pair


def _name_file(path: Path) -> str:
    """A file by its place below ``projects``, or by its last folders: many have one name."""
    parts = [part for part in path.resolve().parts if part.strip("/\\")]
    if "projects" in parts[:-1]:
        below = len(parts) - parts[::-1].index("projects")
        return _printable("/".join(parts[below:]))
    return _printable("/".join(parts[-_FOLDERS_SHOWN:]))


def _name_key(entry: Entry) -> str:
    """A key as the file has it, on one line and without what could end a comment."""
    shown = _printable(" ".join(entry.text.split()))
    shown = shown if len(shown) <= 60 else f"{shown[:40]}...{shown[-15:]}"
    if not entry.key:
        return f"line {entry.line}, {shown}"
    place = f"[{entry.section}] " if entry.section else ""
    return f"{place}{_printable(entry.key)[:40]} = {shown}"


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _comment(text: str, indent: str = "") -> Iterator[str]:
    for line in textwrap.wrap(text, _WIDTH - 2 - len(indent), subsequent_indent=indent * 2):
        yield f"# {indent}{line}"
