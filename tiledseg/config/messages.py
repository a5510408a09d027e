"""What is wrong with settings, in words: the key, what was given, what is accepted."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from reprlib import Repr
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_MOST_TOLD = 10
"""Of a file, that are told at once."""
_LONGEST_KEY = 120
_shortening = Repr()
_shortening.maxstring = _shortening.maxother = 80
_shortening.maxlevel = 2


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """The faults that pydantic found, on one line; of many the first.

    Args:
        error: What validating ``root`` raised.
        root: The outermost section.
    """
    faults = error.errors()
    told = [_explain(detail, root) for detail in faults[:_MOST_TOLD]]
    more = len(faults) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def nearest(given: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Known spellings that resemble a given one, whatever their case; best first."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    return [
        by_folded[match]
        for match in get_close_matches(given.casefold(), by_folded, n=most, cutoff=0.5)
    ]


def shorten(value: object) -> str:
    """A value as Python writes it, cut to a length that fits a message."""
    return _shortening.repr(value)


def list_keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The keys of a section and of those in it, for example ``dataset.split.seed``."""
    for name, field in section.model_fields.items():
        inner = _section_in(field.annotation)
        if inner is None:
            yield f"{prefix}{name}"
        else:
            yield from list_keys(inner, f"{prefix}{name}.")


def _explain(detail: ErrorDetails, root: type[BaseModel]) -> str:
    location = [str(part) for part in detail["loc"]]
    key, kind, given = ".".join(location), detail["type"], shorten(detail["input"])
    key = key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}..."
    if kind == "extra_forbidden":
        return f"unknown key {key} (given {given}); {_suggest_known(location, root)}"
    if kind == "missing":
        return f"key {key} is missing; add it"
    if kind == "value_error":
        return f"{key}: {detail['ctx']['error']}".removeprefix(": ")
    if kind == "model_type":
        known = ", ".join(_section_at(location, root).model_fields)
        return f"{key} is {given}, a value and not a section; its keys are {known}"
    if kind in {"bool_type", "bool_parsing"}:
        return f"{key} is {given}; write true or false"
    message = detail["msg"][0].lower() + detail["msg"][1:]
    if kind == "literal_error":
        near = nearest(str(detail["input"]), re.findall("'([^']+)'", detail["ctx"]["expected"]))
        message += "".join(f"; did you mean {spelling}?" for spelling in near)
    return f"{key} is {given}; {message}"


def _suggest_known(location: Sequence[str], root: type[BaseModel]) -> str:
    """Where a misplaced key belongs, how it is spelt, or what its section knows."""
    *section, name = location
    homes = [key for key in list_keys(root) if key.rpartition(".")[2] == name]
    if homes:
        return f"did you mean {' or '.join(homes)}?"
    known = list(_section_at(section, root).model_fields)
    near = nearest(name, known)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"


def _section_at(location: Iterable[str], root: type[BaseModel]) -> type[BaseModel]:
    """The section class that a dotted location names."""
    section = root
    for part in location:
        section = _section_in(section.model_fields[part].annotation) or section
    return section


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section class that a field holds, perhaps beside None."""
    for choice in getattr(annotation, "__args__", (annotation,)):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None
