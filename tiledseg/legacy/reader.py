"""Reader of a configuration file: values taken, settings put down, notes on every key."""

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

Kind = Literal["ending", "unreadable", "unavailable", "different", "elsewhere", "ignored"]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Note:
    """What became of a key that no setting follows from, or what else a reader should know.

    Attributes:
        kind: ``ending``: the source program ends with it; ``unreadable``; ``unavailable``: it had
            an effect there and has none here; ``different``: what no key of the file says;
            ``elsewhere``: no matter of the experiment's settings here; ``ignored``: without an
            effect there, too.
        entry: The key; None where there is none.
        words: Why.
    """

    kind: Kind
    entry: Entry | None
    words: str


@dataclass(frozen=True)
class Setting:
    """One key of the experiment.

    Attributes:
        section: For example ``model``.
        key: For example ``base_kernels``.
        value: As YAML has it.
        entries: The keys of the file that it follows from.
        origin: Where the value comes from that no key of the file gives; empty if some key does.
        words: What a reader should know about it.
    """

    section: str
    key: str
    value: Any
    entries: tuple[Entry, ...]
    origin: str
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
        self._required: list[str] = []

    def require(self, *names: str) -> None:
        """Name keys without which the source program ends: it has no default for them."""
        self._required += names

    def has(self, name: str) -> bool:
        """Whether the file has a key."""
        return name in self._entries

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
        required = name in self._required
        if semicolon and required:
            try:
                meant = kind(parse_value(before))
            except UnreadableValueError:
                pass
            else:
                words = "the source program cannot run with it; read up to the semicolon"
                self._note("unreadable", entry, words)
                return meant
        ends = "; the source program has no default and ends" if required else ""
        self._note("unreadable", entry, f"{fault}{ends}; {shorten(default)} is used")
        return default

    def put(
        self, name: str, value: Any, *sources: str, words: str = "", instead: Any = None
    ) -> None:
        """Put a setting down, with the keys of the file that it follows from.

        Args:
            name: For example ``model.base_kernels``.
            value: Its value.
            sources: Keys of the file that the source program reads for it; where all are absent,
                the value must be its default.
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
        origin = "" if used or not any(sources) else self._origin(sources)
        self.settings.append(Setting(section, key, value, used, origin, words))

    def get(self, name: str) -> Any:
        """The value that was put down for a key, for example ``model.num_layers``."""
        return next(
            setting.value for setting in self.settings if f"{setting.section}.{setting.key}" == name
        )

    def add_note(self, kind: Kind, words: str, *names: str) -> None:
        """Note what became of some keys, where the file has them."""
        for name in names:
            if name in self._entries:
                self._note(kind, self._entries[name], words)

    def tell(self, kind: Literal["ending", "different"], words: str) -> None:
        """Note what no key of the file says."""
        self.notes.append(Note(kind, None, words))

    def note_the_rest(self, reasons: Mapping[str, tuple[Kind, str]], known: Iterable[str]) -> None:
        """Note what became of each key that is left, and which required ones are missing.

        Args:
            reasons: By ``section.key`` or by ``section``.
            known: Keys that have an effect somewhere, to suggest what was meant.
        """
        for name, entry in self._entries.items():
            kind, words = reasons.get(name) or reasons.get(entry.section) or ("ignored", "")
            if not words:
                suggestion = (
                    _suggest_key(entry, known) if len(self.notes) < _MOST_SUGGESTIONS else ""
                )
                words = f"the source program reads no such key{suggestion}"
            self._note(kind, entry, words)
        self._note_missing()

    def _note_missing(self) -> None:
        missing = [name for name in self._required if name not in self._entries]
        if not missing:
            return
        present = {entry.section for entry in self._entries.values()}
        absent = {name.partition(".")[0] for name in missing} - present
        hint = "; the file may be cut off" if absent else ""
        self.tell("ending", f"{_list_keys(missing)}: missing, and without a default{hint}")

    def _origin(self, sources: Iterable[str]) -> str:
        if any(name in self._entries for name in sources):
            return "see the notes below"
        if any(name in self._required for name in sources):
            return "not in the file; the source program has no default"
        return "not in the file; the source program's default"

    def _keep(self, entry: Entry) -> None:
        name = f"{entry.section}.{entry.key}"
        if entry.is_header:
            self.notes.append(Note("ending", entry, "the section is there already"))
        elif not entry.key:
            self.notes.append(Note("ending", entry, "no KEY = VALUE, section or comment"))
        elif not entry.section:
            self.notes.append(Note("ending", entry, "stands before the first [section]"))
        else:
            if name in self._entries:
                words = f"given again in line {entry.line}, which counts here"
                self.notes.append(Note("ending", self._entries[name], words))
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


def _list_keys(names: Iterable[str]) -> str:
    """Keys by section, for example ``[model] loss, metrics; [train] epochs``."""
    by_section: dict[str, list[str]] = {}
    for name in names:
        section, _, key = name.partition(".")
        by_section.setdefault(section, []).append(key)
    return "; ".join(f"[{section}] {', '.join(keys)}" for section, keys in by_section.items())


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
