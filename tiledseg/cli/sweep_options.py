"""The fields of ``SweepOptions`` as options of a command."""

import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from functools import wraps
from typing import Annotated, Any

import typer

from tiledseg.tuning.options import SweepOptions

_PLACE = "options"
"""The parameter that takes the ``SweepOptions``."""


def take_sweep_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command with a parameter ``options`` take its fields, each as an option.

    Args:
        command: With keyword parameters only; the others stay as they are.

    Returns:
        A function with the fields as parameters, in the place of ``options``, as Typer reads them.
    """
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        own = parameter.name != _PLACE
        parameters += [parameter] if own else [_make_parameter(one) for one in fields(SweepOptions)]

    @wraps(command)
    def run(**given: Any) -> None:
        values = {one.name: _read_value(one, given.pop(one.name)) for one in fields(SweepOptions)}
        command(**given, **{_PLACE: SweepOptions(**values)})

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _make_parameter(one: Field[Any]) -> inspect.Parameter:
    description, flag = one.metadata["description"], one.metadata["flag"]
    option = typer.Option(*([f"--{flag}"] if flag else []), help=description)
    several = isinstance(one.default, tuple)
    return inspect.Parameter(
        one.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if several else one.default,
        annotation=Annotated[list[str] | None if several else one.type, option],
    )


def _read_value(one: Field[Any], given: Any) -> Any:
    """A field's value; several are given one by one, or in one text with spaces or commas."""
    if not isinstance(one.default, tuple):
        return given
    return tuple(name for text in given or [] for name in text.replace(",", " ").split())
