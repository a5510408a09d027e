"""What computes a pass: Keras by its own backend, or OpenVINO on the processor."""

from typing import Literal, get_args

import keras

from tiledseg.backend import compile_forward, has_bfloat16_units, openvino_forward
from tiledseg.errors import TilingError
from tiledseg.tiling.geometry.regions import Forward

Runtime = Literal["keras", "openvino"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)


def check_runtime(runtime: str) -> None:
    """Refuse what is no runtime.

    Raises:
        TilingError: It is unknown.
    """
    if runtime not in RUNTIMES:
        raise TilingError(f"runtime is {runtime!r}; use one of {', '.join(RUNTIMES)}")


def forward_of(model: keras.Model, runtime: Runtime = "keras") -> Forward:
    """A model's pass over a batch.

    Args:
        model: (N, H, W, C) -> (N, H, W, K).
        runtime: ``keras``, or ``openvino`` in bfloat16 where the processor computes with it, else
            in float32.

    Returns:
        The pass with the weights of now, kept on the model until they change.

    Raises:
        TilingError: The runtime is unknown, not installed, or cannot convert the model.
    """
    check_runtime(runtime)
    if runtime == "keras":
        return compile_forward(model)
    if keras.config.backend() != "tensorflow":
        raise TilingError(
            f"runtime openvino converts models of Keras' TensorFlow backend, not of "
            f"{keras.config.backend()}; set KERAS_BACKEND=tensorflow"
        )
    try:
        return openvino_forward(model, "bf16" if has_bfloat16_units() else "f32")
    except ImportError as error:
        raise TilingError(
            f"runtime openvino is not installed ({error}); pip install openvino"
        ) from error
