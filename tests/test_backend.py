import os
import subprocess
import sys

import pytest

from tiledseg.backend import fast_precision


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_loading_says_nothing():
    done = run("from tiledseg.backend import load_backend; load_backend(); import keras")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_standard_error_works_afterwards():
    code = "import sys; from tiledseg.backend import load_backend; load_backend()"
    assert run(f"{code}; sys.stderr.write('still here')").stderr == "still here"


@pytest.mark.parametrize("backend", ["nonsense"])
def test_a_backend_that_cannot_be_loaded_is_not_hidden(backend):
    done = run("from tiledseg.backend import load_backend; load_backend()", KERAS_BACKEND=backend)
    assert done.returncode != 0
    assert backend in done.stderr


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


@pytest.mark.parametrize(
    ("backend", "precision", "expected"),
    [
        ("tensorflow", "float32", False),
        ("tensorflow", "mixed_bfloat16", True),
        ("jax", "float32", True),
    ],
)
def test_xla_where_it_is_needed_or_faster(backend, precision, expected):
    code = f"from tiledseg.backend import compiles_by_xla; print(compiles_by_xla({precision!r}))"
    assert run(code, KERAS_BACKEND=backend).stdout.strip() == str(expected)


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")])
def test_fast_convolutions_unless_told_otherwise(given, expected, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    code = "import tiledseg, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    assert run(code, **given).stdout.strip() == expected
