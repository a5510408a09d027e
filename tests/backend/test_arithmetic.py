import pytest

from tiledseg.backend import (
    compiles_by_xla,
    fast_precision,
)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16 amx_tile", "mixed_bfloat16"),
        ("fpu amx_bf16", "mixed_bfloat16"),
        ("fpu avx512f", "float32"),
        (None, "float32"),
    ],
)
def test_precision_follows_the_processor(tmp_path, flags, expected):
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    assert fast_precision(tmp_path / "cpuinfo") == expected


@pytest.mark.parametrize(("precision", "expected"), [("float32", False), ("mixed_bfloat16", True)])
def test_xla_where_it_is_faster(precision, expected):
    assert compiles_by_xla(precision) == expected
