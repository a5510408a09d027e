import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from fresh_process import LOAD, run

from tiledseg.backend import (
    compile_forward,
    load_backend,
)
from tiledseg.errors import BackendError


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
    words = "from tiledseg.backend import needs_xla; print(needs_xla())"
    done = run(f"{LOAD}; import keras; print(keras.config.backend()); {words}", **chosen)
    assert done.stdout.split() == ["jax", "True"], done.stderr


@pytest.mark.parametrize("by_file", [False, True])
@pytest.mark.parametrize("backend", ["torch", "numpy", "nonsense"])
def test_a_backend_that_nothing_here_computes_with_is_refused(tmp_path, backend, by_file):
    settings = {"floatx": "float32", "epsilon": 1e-7, "backend": backend}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    chosen = {"KERAS_HOME": str(tmp_path)} if by_file else {"KERAS_BACKEND": backend}
    done = run(LOAD, **chosen)
    *_, last = done.stderr.strip().splitlines()
    place = f"the backend in {tmp_path / 'keras.json'}" if by_file else "KERAS_BACKEND"
    assert last == (
        f"tiledseg.errors.BackendError: {place} is '{backend}', and tiledseg computes with "
        "tensorflow or jax; set the environment variable KERAS_BACKEND=tensorflow"
    )


def test_a_refused_backend_is_one_line_of_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tiledseg", "predict", "--model", "a", "--images", ".",
         "--output", "out"],
        env={**os.environ, "KERAS_BACKEND": "torch"}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "KERAS_BACKEND is 'torch'" in line
    assert "KERAS_BACKEND=tensorflow" in line


def test_a_keras_that_was_loaded_with_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr("keras.config.backend", lambda: "torch")
    for use in (load_backend, lambda: compile_forward(SimpleNamespace())):
        with pytest.raises(BackendError, match="Keras' backend is 'torch'"):
            use()


def test_what_is_said_while_loading_fails_is_not_hidden(tmp_path):
    (tmp_path / "keras.py").write_text("import os; os.write(2, b'why'); raise ImportError('no')")
    done = run(LOAD, PYTHONPATH=str(tmp_path))
    assert done.returncode != 0
    assert "why" in done.stderr
    assert "ImportError: no" in done.stderr


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")])
def test_fast_convolutions_unless_told_otherwise(given, expected, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    code = "import tiledseg, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    assert run(code, **given).stdout.strip() == expected
