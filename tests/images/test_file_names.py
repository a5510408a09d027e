"""Names that are no text, and names that look alike."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.images.names import as_text, is_text, small_difference


@given(st.binary(min_size=1, max_size=40))
def test_any_bytes_become_text(name: bytes) -> None:
    carried = os.fsdecode(name)
    as_text(carried).encode()
    assert is_text(carried) == (as_text(carried) == carried)


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ("a", "a", ""),
        ("a", "b", ""),
        ("Cell_1", "cell_1", "only in upper and lower case"),
        ("gr\u00fcn", "gru\u0308n", "only in the Unicode form of its accents"),
        ("Gr\u00fcn", "gru\u0308n", "only in upper and lower case"),
    ],
)
def test_small_differences(one: str, other: str, difference: str) -> None:
    assert small_difference(one, other) == difference
