"""Values are read as Python would, and nothing is run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.legacy.ini import LONGEST
from tiledseg.legacy.values import (
    UnreadableValueError,
    finite,
    numbers,
    parse_text,
    parse_value,
    parse_whole,
    square,
    switch,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)


@given(VALUES)
def test_literals_come_back(value):
    if len(repr(value)) <= LONGEST:
        assert parse_value(repr(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" (3,3) ", (3, 3)),
        ("'mish'", "mish"),
        ("[90, 180, 210, 270, ]", [90, 180, 210, 270]),
        ("512 * 2", 1024),
        ("-(1e-3 + 1)", -1.001),
        ("7 // 2", 3),
        ("+2", 2),
        ("[(0.3, 0.3),\n (0.7, 0.3)]", [(0.3, 0.3), (0.7, 0.3)]),
        ("3 # three", 3),
        ("{(0,0,0):0, (237,237,237):1,}", {(0, 0, 0): 0, (237, 237, 237): 1}),
    ],
)
def test_what_the_source_program_reads(text, value):
    assert (
        parse_value(text) == pytest.approx(value)
        if isinstance(value, float)
        else (parse_value(text) == value)
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Flase",
        "[90. 180, 270,]",
        "[8.0 10.0]",
        "3 ; three",
        "relu",
        "cv2.INTER_CUBIC",
        "9**9**9",
        "1 << 9999999",
        "'a' * 10**9",
        "[0] * 9",
        "True + 1",
        "1 / 0",
        "lambda: 0",
        "[x for x in (1,)]",
        "{[1]: 2}",
        "{**{}}",
        "{open: 2}",
        "b'a'",
        "1j",
        "f'{1}'",
        "(" * 500 + ")" * 500,
        "-" * 1900 + "1",
        "1" * (LONGEST + 1),
        "\x00",
    ],
)
def test_anything_else_is_unreadable(text):
    with pytest.raises(UnreadableValueError):
        parse_value(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch ran')",
        "open('ran', 'w')",
        'exec(\'open("ran", "w")\')',
        "[open('ran', 'w')]",
        "().__class__.__base__.__subclasses__()",
        "1 + open('ran', 'w').write('x')",
    ],
)
def test_nothing_is_run(text, tmp_path):
    with pytest.raises(UnreadableValueError):
        parse_value(text)
    assert not list(tmp_path.iterdir())  # the working directory of a test


@given(st.text(max_size=60))
def test_any_text_is_a_value_or_unreadable(text):
    try:
        parse_value(text)
    except UnreadableValueError as error:
        assert len(str(error)) < 80


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (parse_whole, 3.0, 3),
        (finite, 3, 3.0),
        (switch, 1, True),
        (switch, None, False),
        (parse_text, "a", "a"),
        (square, (3, 3), 3),
        (square, [5], 5),
        (square, 7, 7),
        (numbers, 0.8, [0.8]),
        (numbers, None, []),
        (numbers, (1, 2), [1.0, 2.0]),
    ],
)
def test_kinds(kind, value, result):
    assert kind(value) == result


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (parse_whole, 3.5),
        (parse_whole, True),
        (parse_whole, "3"),
        (finite, float("inf")),
        (finite, float("nan")),
        (finite, 10**400),
        (finite, None),
        (switch, "True"),
        (switch, 0.5),
        (parse_text, 3),
        (square, (3, 5)),
        (square, (3, 3, 3)),
        (square, ()),
        (numbers, ["a"]),
    ],
)
def test_of_another_kind(kind, value):
    with pytest.raises(UnreadableValueError):
        kind(value)
