"""Settings of a run as options of ``tiledseg train``."""

import ast
import json
import shlex
from collections.abc import Mapping
from typing import Any

from tiledseg.config.strict_yaml import parse_yaml
from tiledseg.tracking.queries import VersionSummary


def set_options(params: Mapping[str, str]) -> str:
    """One ``--set`` for each setting, so that a shell passes on the value that a run had.

    Args:
        params: Dotted key to value, as MLflow keeps it: as Python writes it.
    """
    return " ".join(f"--set {shlex.quote(_setting(*item))}" for item in params.items())


def evaluation_command(version: VersionSummary, dataset: str) -> str:
    """How masks and scores of a version are made.

    Args:
        version: It.
        dataset: Whose images.
    """
    uri = shlex.quote(f"models:/{version.model}/{version.version}")
    return f"tiledseg evaluate --model {uri} --dataset {shlex.quote(dataset)}"


def prediction_command(model: str) -> str:
    """How the champion of a model is used."""
    return f"tiledseg predict --model {shlex.quote(model)}"


def _setting(name: str, text: str) -> str:
    """``KEY=VALUE`` in YAML's notation, as one word for who splits it at blanks."""
    value = _value(text)
    plain = not isinstance(value, list | tuple) and _is_yaml_of(text, value)
    written = text if plain else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    setting = f"{name}={written}"
    return setting if _is_one_word(setting) else shlex.quote(setting)


def _value(text: str) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, bool | int | float | list | tuple | None) else text


def _is_yaml_of(text: str, value: Any) -> bool:
    try:
        read = parse_yaml(text)
    except ValueError:
        return False
    return type(read) is type(value) and bool(read == value)


def _is_one_word(text: str) -> bool:
    """Whether a text stays as it is where it is split like a shell's."""
    try:
        return shlex.split(text) == [text]
    except ValueError:
        return False
