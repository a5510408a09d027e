import keras
import numpy as np
from fresh_process import LOAD, run

from tiledseg.backend import (
    compile_forward,
    hold_weights,
)


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
