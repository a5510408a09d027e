import json
import os
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tiledseg.backend import (
    compile_forward,
    compiles_by_xla,
    fast_precision,
    hold_weights,
    load_backend,
)
from tiledseg.errors import BackendError


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


def test_ctrl_c_after_openvino_is_an_interruption():
    """Whatever the order in which networks that were converted go."""
    code = f"""{LOAD}
import gc, signal, keras, numpy
signal.signal(signal.SIGINT, signal.default_int_handler)  # what started the tests may ignore it
from tiledseg.backend import openvino_forward
def converted():
    pixels = keras.Input((None, None, 3))
    model = keras.Model(pixels, keras.layers.Conv2D(1, 1)(pixels))
    assert openvino_forward(model, "f32")(numpy.zeros((1, 8, 8, 3), "uint8")).shape == (1, 8, 8, 1)
    return model
networks = [converted(), converted()]
while networks:
    del networks[0]
    gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = run(code)
    assert (done.returncode, done.stdout) == (0, "interrupted\n")


def test_reserved_memory_is_address_space_alone_and_asked_for_once():
    code = f"""{LOAD}
import keras, psutil
from tiledseg.backend import reserve_memory
keras.ops.add(1, 1)
before = psutil.Process().memory_info()
for _ in range(3):
    reserve_memory(2**30 - 1)
after = psutil.Process().memory_info()
print((after.vms - before.vms) / 2**31, (after.rss - before.rss) / 2**31)
"""
    done = run(code, TF_ENABLE_ONEDNN_OPTS="1")
    address_space, resident = (float(share) for share in done.stdout.split())
    assert 0.9 < address_space < 1.9, "kept, and once"
    assert resident < 0.1


def test_more_memory_than_there_is_is_not_reserved_and_no_error():
    words = "from tiledseg.backend import reserve_memory; import keras"
    done = run(f"{LOAD}; {words}; reserve_memory(10**15); print(int(keras.ops.add(1, 1)))")
    assert done.stdout.split() == ["2"], done.stderr


def test_held_weights_are_read_once_and_again_afterwards():
    pixels = keras.Input((None, None, 1))
    model = keras.Model(pixels, keras.layers.Conv2D(1, 1, use_bias=False)(pixels))
    image = np.ones((1, 2, 2, 1), np.uint8)

    def answer(weight):
        model.set_weights([np.full((1, 1, 1, 1), weight, np.float32)])
        return compile_forward(model)(image).max()

    assert answer(2.0) == 2.0
    with hold_weights(model):
        assert answer(3.0) == 2.0, "read again, though nothing may change here"
        with hold_weights(model):
            pass
        assert answer(3.0) == 2.0, "let go by an inner one"
    assert answer(4.0) == 4.0
