"""Values in Python's notation, read without running them.

The source program hands each value to ``eval``. Here its syntax tree is walked: literals,
lists, tuples, mappings and sums of numbers are taken, and everything else (a name, a call, an
attribute) is refused, so that no text of a file is ever executed.
"""

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from tiledseg.legacy.ini import LONGEST

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}  # no powers and shifts: 9**9**9 would never end


class UnreadableValueError(ValueError):
    """A text that stands for no value, or for one of another kind than its key takes."""


def parse_value(text: str) -> Any:
    """The value that a text stands for.

    Args:
        text: For example ``"bce_dice_loss"``, ``(3, 3)``, ``[90, 180,]`` or ``512 * 2``.

    Returns:
        Text, a number, a boolean, None, or a list, tuple or mapping of such.

    Raises:
        UnreadableValueError: It is no such value, for example ``Flase`` or ``[8.0 10.0]``.
    """
    if len(text) > LONGEST:
        raise UnreadableValueError(f"a value of {len(text)} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval")
        return _value(tree.body)
    except (SyntaxError, MemoryError, RecursionError, ArithmeticError, ValueError):
        raise UnreadableValueError("not a value") from None


def parse_whole(value: Any) -> int:
    """A whole number, also written as 3.0."""
    number = finite(value)
    if number != int(number):
        raise UnreadableValueError("not a whole number")
    return int(number)


def finite(value: Any) -> float:
    """A finite number; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e12:
        raise UnreadableValueError("not a number")
    return float(value)


def switch(value: Any) -> bool:
    """True or False, also written as 1 or 0; None is False, as it is in Python."""
    if value is None:
        return False
    if not isinstance(value, bool | int):
        raise UnreadableValueError("neither True nor False")
    return bool(value)


def parse_text(value: Any) -> str:
    """A text in quotes."""
    if not isinstance(value, str):
        raise UnreadableValueError("not a text in quotes")
    return value


def texts(value: Any) -> list[str]:
    """A list of texts; one text is a list of one, None is empty."""
    if value is None:
        return []
    return [parse_text(item) for item in (value if isinstance(value, list | tuple) else [value])]


def square(value: Any) -> int:
    """Both sides of a kernel or a dilation, for example ``(3, 3)`` or 3."""
    sides = numbers(value)
    if len({*sides}) != 1 or len(sides) > 2:
        raise UnreadableValueError("not one side, twice")
    return parse_whole(sides[0])


def numbers(value: Any) -> list[float]:
    """A list of numbers; one number is a list of one, None is empty."""
    if value is None:
        return []
    return [finite(item) for item in (value if isinstance(value, list | tuple) else [value])]


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Dict(keys=keys, values=values):
            return {_key(key): _value(value) for key, value in zip(keys, values, strict=True)}
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            return -_number(operand) if isinstance(sign, ast.USub) else _number(operand)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _ARITHMETIC:
            return _ARITHMETIC[type(sign)](_number(left), _number(right))
    raise UnreadableValueError("not a value")


def _key(node: ast.expr | None) -> Any:
    """A key of a mapping: a text, a number, or a tuple of numbers such as a color."""
    match node:
        case ast.Tuple(elts=items):
            return tuple(_number(item) for item in items)
        case ast.Constant():
            return _value(node)
    raise UnreadableValueError("not a key")


def _number(node: ast.expr) -> float:
    value = _value(node)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableValueError("not a number")
    return value
