"""The notation of settings: YAML, read strictly and written so that it reads back the same.

PyYAML follows YAML 1.1, in which ``1e-3`` is text, ``1:30`` is ninety, ``010`` is eight and a
key that is given twice silently keeps its last value. Here numbers are those of YAML 1.2,
dates are text, and a key given twice is refused. Tags that would build Python objects are
unknown to both readers.
"""

import re
from typing import Any

import yaml

_PREFIX = "tag:yaml.org,2002:"
_KEPT_FROM_YAML_1_1 = ("bool", "null", "merge")
_NUMBERS = {  # in this order: what could be both is an integer
    "int": r"[-+]?(?:0|[1-9][0-9_]*)",
    "float": r"[-+]?(?:(?:0|[1-9][0-9_]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}


class _Loader(yaml.SafeLoader):
    """Reads, and refuses a key that is given twice."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # PyYAML's own way; filled below

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused when the mapping is built
            if key.value in seen:
                problem = f"key {key.value!r} is given twice; remove one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return node


class _Dumper(yaml.SafeDumper):
    """Writes, quoting what ``_Loader`` would not read as text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012


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
for _kind in (_Loader, _Dumper):
    for _first, _resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items():
        for _tag, _pattern in _resolvers:
            if _tag.removeprefix(_PREFIX) in _KEPT_FROM_YAML_1_1:
                _kind.add_implicit_resolver(_tag, _pattern, [_first])
    for _name, _number in _NUMBERS.items():
        _kind.add_implicit_resolver(
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
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(where + (error.problem or str(error.context))) from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("sections lie in each other too deeply") from None


def to_yaml(content: Any) -> str:
    """Write what ``parse_yaml`` reads back as an equal value; keys keep their order."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
