import json
import os
import subprocess
import sys

import pytest

from tiledseg.backend import compiles_by_xla, fast_precision


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


LOAD = "import sys; from tiledseg.backend import load_backend; load_backend()"


def test_loading_says_nothing_and_standard_error_works_afterwards():
    done = run(f"{LOAD}; import keras; sys.stderr.write('still here')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "still here")


def test_what_nothing_here_uses_is_not_loaded_and_yet_can_be():
    names = "('sklearn', 'matplotlib', 'jax')"
    code = f"{LOAD}; print(any(n in sys.modules for n in {names})); import sklearn, jax; print(1)"
    assert run(code).stdout.split() == ["False", "1"]


@pytest.mark.parametrize("by_file", [False, True])
def test_jax_is_loaded_where_it_is_the_backend(tmp_path, by_file):
    settings = {"floatx": "float32", "epsilon": 1e-7, "backend": "jax"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    chosen = {"KERAS_HOME": str(tmp_path)} if by_file else {"KERAS_BACKEND": "jax"}
    words = "from tiledseg.backend import compiles_by_xla; print(compiles_by_xla('float32'))"
    done = run(f"{LOAD}; import keras; print(keras.config.backend()); {words}", **chosen)
    assert done.stdout.split() == ["jax", "True"], done.stderr


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


@pytest.mark.parametrize(("precision", "expected"), [("float32", False), ("mixed_bfloat16", True)])
def test_xla_where_it_is_faster(precision, expected):
    assert compiles_by_xla(precision) == expected


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")])
def test_fast_convolutions_unless_told_otherwise(given, expected, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    code = "import tiledseg, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    assert run(code, **given).stdout.strip() == expected
