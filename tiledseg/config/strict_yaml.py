"""Settings in YAML 1.2, read strictly and written so that they read back the same.

ruamel.yaml reads, by the core schema of YAML 1.2 without octal and hexadecimal numbers: ``1e-3``
is a number, ``010``, ``1:30``, dates and ``yes`` are text, and a key given twice is refused.
PyYAML writes, and quotes what a reader of YAML 1.1 or 1.2 would take for something else.
"""

import re
from collections.abc import Hashable
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scanner import Scanner, ScannerError

_DEEPEST = 100
_TOO_DEEP = "sections lie in each other too deeply"
_PREFIX = "tag:yaml.org,2002:"
_MOST_VALUES = 200_000
"""Of a document; a file of settings that is read has fewer, unless aliases repeat each other."""
_KEPT_FROM_YAML_1_1 = ("bool", "null", "merge")
_NUMBERS = {  # in this order: what could be both is an integer
    "int": r"[-+]?(?:0|[1-9][0-9_]*)",
    "float": r"[-+]?(?:(?:0|[1-9][0-9_]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}
_WORDS = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "null": r"~|null|Null|NULL|",
    "merge": r"<<",
}
_PATTERNS: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {
    None: [
        (_PREFIX + name, re.compile(f"^(?:{pattern})$"))
        for name, pattern in (_WORDS | _NUMBERS).items()
    ]
}


class _Scanner(Scanner):
    """Reads brackets in each other to a depth that takes no quadratic time."""

    def fetch_flow_collection_start(self, *given: Any, **named: Any) -> None:
        if len(self.flow_context) >= _DEEPEST:
            raise ScannerError(problem=_TOO_DEEP, problem_mark=self.reader.get_mark())
        super().fetch_flow_collection_start(*given, **named)


class _Resolver(VersionedResolver):
    """Decides which plain words are not text: by the patterns above, whatever ``%YAML`` says."""

    @property
    def versioned_resolver(self) -> dict[str | None, list[tuple[str, re.Pattern[str]]]]:
        return _PATTERNS


class _Constructor(SafeConstructor):
    """Plain values only; any other tag is unknown."""

    def construct_document(self, node: Node) -> Any:
        _measure(node, {})
        return super().construct_document(node)

    def check_mapping_key(self, *place: Any) -> bool:
        _, key_node, mapping, key, _ = place
        if not isinstance(key, Hashable) or isinstance(key, tuple):
            problem = "a list or a section cannot be a key"
            raise MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        if key in mapping:
            problem = f"key {key!r} is given twice; remove one"
            raise DuplicateKeyError(problem=problem, problem_mark=key_node.start_mark)
        return True


def _measure(node: Node, known: dict[int, int]) -> int:
    """How many values there are where each alias stands for all that it names.

    Args:
        node: The document, or a part of it.
        known: Measures of parts by their identity; 0 while one is being measured.

    Raises:
        MarkedYAMLError: There are too many, or a part holds itself.
    """
    if id(node) in known and not known[id(node)]:
        raise MarkedYAMLError(problem="a section holds itself", problem_mark=node.start_mark)
    if id(node) not in known:
        known[id(node)] = 0
        children: list[Node] = []
        if isinstance(node, MappingNode):
            children = [each for pair in node.value for each in pair]
        elif isinstance(node, SequenceNode):
            children = node.value
        known[id(node)] = 1 + sum(_measure(child, known) for child in children)
        if known[id(node)] > _MOST_VALUES:
            problem = f"aliases repeat more than {_MOST_VALUES} values"
            raise MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    return known[id(node)]


class _Dumper(yaml.SafeDumper):
    """Writes, quoting what is not read as text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # PyYAML's own way; filled below


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Text, escaped where it holds line breaks that PyYAML would write as others."""
    style = '"' if any(mark in text for mark in "\x85\u2028\u2029") else None
    return dumper.represent_scalar(_PREFIX + "str", text, style=style)


def _list_node(dumper: _Dumper, items: list[Any]) -> yaml.SequenceNode:
    """A list of plain values on one line, as people write it."""
    plain = not any(isinstance(item, list | dict) for item in items)
    return dumper.represent_sequence(_PREFIX + "seq", items, flow_style=plain)


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(list, _list_node)
for _first, _resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items():
    for _tag, _pattern in _resolvers:
        if _tag.removeprefix(_PREFIX) in _KEPT_FROM_YAML_1_1:
            _Dumper.add_implicit_resolver(_tag, _pattern, [_first])
for _name, _number in _NUMBERS.items():
    _Dumper.add_implicit_resolver(
        _PREFIX + _name, re.compile(f"^(?:{_number})$"), list("-+.0123456789")
    )


def parse_yaml(text: str) -> Any:
    """Read one YAML document.

    Args:
        text: The document.

    Returns:
        Dictionaries, lists, text, numbers, booleans or None.

    Raises:
        ValueError: It is no YAML, or a key is given twice; the message says where.
    """
    reader = YAML(typ="safe", pure=True)
    reader.Scanner, reader.Resolver, reader.Constructor = _Scanner, _Resolver, _Constructor
    try:
        return reader.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(where + " ".join((error.problem or str(error.context)).split())) from None
    except YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def to_yaml(content: Any) -> str:
    """Write what ``parse_yaml`` reads back as an equal value; keys keep their order."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
