"""Keys of a configuration file on one side, settings on the other, and notes on every key."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from tiledseg.config import (
    AugmentationSettings,
    DatasetSettings,
    ImageSettings,
    ModelSettings,
    Section,
    TilingSettings,
    TrainingSettings,
)
from tiledseg.config.messages import nearest, shorten
from tiledseg.legacy.ini import Entry
from tiledseg.legacy.reasons import NEEDED
from tiledseg.legacy.values import UnreadableValueError, parse_value

SECTIONS: Mapping[str, type[Section]] = {
    "dataset": DatasetSettings,
    "image": ImageSettings,
    "model": ModelSettings,
    "training": TrainingSettings,
    "augmentation": AugmentationSettings,
    "tiling": TilingSettings,
}
"""The sections that are written, in the order of the YAML."""

_MOST_SUGGESTIONS = 200

Kind = Literal["ignored", "unavailable", "unreadable"]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Note:
    """Why a key of the file has no effect, or not the one it asks for."""

    kind: Kind
    entry: Entry
    words: str


@dataclass(frozen=True)
class Setting:
    """One key of the experiment.

    Attributes:
        section: For example ``model``.
        key: For example ``base_kernels``.
        value: As YAML has it.
        entries: The keys of the file that it follows from.
        noted: A key that it would follow from has a note instead.
        words: What a reader should know about it.
    """

    section: str
    key: str
    value: Any
    entries: tuple[Entry, ...]
    noted: bool
    words: str


class Reader:
    """Takes values out of the file, puts settings down, and remembers what became of each key.

    Keys are named ``section.key``, of the file by ``value``, of the experiment by ``put``.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.settings: list[Setting] = []
        self.notes: list[Note] = []
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            self._keep(entry)
        self._noted = {id(note.entry) for note in self.notes}
        self._used: set[int] = set()

    def value(self, name: str, kind: Callable[[Any], Value], default: Value) -> Value:
        """A value of the file, or what the source program takes in its place."""
        entry = self._entries.get(name)
        if entry is None:
            return default
        try:
            return kind(parse_value(entry.text))
        except UnreadableValueError as error:
            fault = str(error)
        before, semicolon, _ = entry.text.partition(";")
        if semicolon and name in NEEDED:
            try:
                meant = kind(parse_value(before))
            except UnreadableValueError:
                pass
            else:
                words = "the source program cannot run with it; read up to the semicolon"
                self._note("unreadable", entry, words)
                return meant
        self._note("unreadable", entry, f"{fault}; {shorten(default)} is used")
        return default

    def put(
        self, name: str, value: Any, *sources: str, words: str = "", instead: Any = None
    ) -> None:
        """Write a setting down, with the keys of the file that it follows from.

        Args:
            name: For example ``model.base_kernels``.
            value: Its value.
            sources: Keys of the file; those that are absent count as their default.
            words: A remark.
            instead: Value where the experiment does not take ``value``; its own default if None.
        """
        section, _, key = name.partition(".")
        entries = tuple(self._entries[source] for source in sources if source in self._entries)
        fault = _refusal(section, key, value)
        if fault:
            taken = SECTIONS[section].model_fields[key].default if instead is None else instead
            for entry in entries:
                self._note("unavailable", entry, f"{name} {fault}; {shorten(taken)} is used")
            value = taken
        used = tuple(entry for entry in entries if id(entry) not in self._noted)
        self._used.update(map(id, used))
        self.settings.append(Setting(section, key, value, used, len(used) < len(entries), words))

    def get(self, name: str) -> Any:
        """The value that was put down for a key, for example ``model.num_layers``."""
        return next(
            setting.value for setting in self.settings if f"{setting.section}.{setting.key}" == name
        )

    def add_note(self, kind: Kind, words: str, *names: str) -> None:
        """Say of some keys, where the file has them, why they have no effect."""
        for name in names:
            if name in self._entries:
                self._note(kind, self._entries[name], words)

    def note_the_rest(self, reasons: Mapping[str, str], known: Iterable[str]) -> None:
        """Say why each key that is left has no effect.

        Args:
            reasons: By ``section.key`` or by ``section``.
            known: Keys that have an effect somewhere, to suggest what was meant.
        """
        for name, entry in self._entries.items():
            words = reasons.get(name) or reasons.get(entry.section)
            if words is None:
                suggestion = (
                    _suggest_key(entry, known) if len(self.notes) < _MOST_SUGGESTIONS else ""
                )
                words = f"the source program reads no such key{suggestion}"
            self._note("ignored", entry, words)

    def _keep(self, entry: Entry) -> None:
        name = f"{entry.section}.{entry.key}"
        if not entry.key:
            self.notes.append(Note("unreadable", entry, "no KEY = VALUE, section or comment"))
        elif not entry.section:
            self.notes.append(Note("ignored", entry, "stands before the first [section]"))
        else:
            if name in self._entries:
                words = f"given again in line {entry.line}, which counts"
                self.notes.append(Note("ignored", self._entries[name], words))
            self._entries[name] = entry

    def _note(self, kind: Kind, entry: Entry, words: str) -> None:
        if id(entry) in self._noted | self._used:
            return
        self._noted.add(id(entry))
        try:
            parse_value(entry.text)
        except UnreadableValueError as error:
            if kind != "unreadable":
                kind, words = "unreadable", f"{error}; {words}"
        self.notes.append(Note(kind, entry, words))


def _suggest_key(entry: Entry, known: Iterable[str]) -> str:
    """The known key nearest to a misspelt one, as a question; empty if none is near."""
    here = [name.partition(".")[2] for name in known if name.startswith(f"{entry.section}.")]
    near = nearest(entry.key.removeprefix("self."), here) if len(entry.key) < 40 else []
    return f"; was {near[0]} meant?" if near else ""


def _refusal(section: str, key: str, value: Any) -> str:
    """Why the experiment does not take a value for a key; empty if it does."""
    try:
        SECTIONS[section].model_validate({key: value})
    except ValidationError as error:
        for detail in error.errors():
            if detail["loc"] == (key,):
                message = detail["msg"][0].lower() + detail["msg"][1:]
                return f"cannot be {shorten(value)}: {message}"
    return ""
