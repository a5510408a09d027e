import pytest

from tiledseg.backend import Arithmetic, arithmetic, assume_arithmetic, list_arithmetics

PLAIN = [Arithmetic("float32", xla=False), Arithmetic("float32", xla=True)]
BOTH = [
    Arithmetic("float32", xla=False),
    Arithmetic("mixed_bfloat16", xla=False),
    Arithmetic("float32", xla=True),
    Arithmetic("mixed_bfloat16", xla=True),
]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16 amx_tile", BOTH),
        ("fpu amx_bf16", BOTH),
        ("fpu avx512f", PLAIN),
        (None, PLAIN),
    ],
)
def test_what_is_tried_follows_the_processor(tmp_path, flags, expected):
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    assert list_arithmetics(tmp_path / "cpuinfo") == expected
    assert (
        assume_arithmetic(tmp_path / "cpuinfo") == [each for each in expected if not each.xla][-1]
    )


def test_bfloat16_is_tried_on_a_card(tmp_path, monkeypatch):
    monkeypatch.setattr(arithmetic, "describe_devices", lambda: "1 x NVIDIA H200")
    assert list_arithmetics(tmp_path / "cpuinfo") == BOTH


def test_jax_computes_through_xla_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(arithmetic, "needs_xla", lambda: True)
    assert list_arithmetics(tmp_path / "cpuinfo") == [Arithmetic("float32", xla=True)]
    assert assume_arithmetic(tmp_path / "cpuinfo") == Arithmetic("float32", xla=True)
