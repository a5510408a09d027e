"""A model's pass over a batch, compiled."""

import sys
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import import_module
from threading import Lock
from typing import Any

from tiledseg.backend.loading import loaded_backend

_KEPT = "_tiledseg_forward"
_KEPT_SIZES = 8


def compiled_forward(model: Any) -> Callable[[Any], Any]:
    """The pass of a model over a batch, compiled once in the model's life.

    Later changes of the weights are seen. The function is kept on the model, where it goes when
    the model goes, and may be called from several threads.

    Args:
        model: A keras.Model of one input and one output.

    Returns:
        Maps an array (B, H, W, C) to a float32 array (B, H, W, K).

    Raises:
        BackendError: Keras computes with neither TensorFlow nor JAX.
    """
    kept = vars(model)
    if _KEPT not in kept:
        of_backend = {"tensorflow": _tensorflow_forward, "jax": _jax_forward}
        kept[_KEPT] = of_backend[loaded_backend()](model)
    forward: Callable[[Any], Any] = kept[_KEPT]
    return forward


def _tensorflow_forward(model: Any) -> Callable[[Any], Any]:
    """One function for all shapes; for a model that refuses open sizes, one for each size.

    Keras 3.15's bilinear UpSampling2D compares sizes with 0, which fails where they are open.
    """
    tensorflow, numpy = import_module("tensorflow"), import_module("numpy")
    try:
        every_size = _traced(model, *model.input_shape[1:3])
    except (TypeError, ValueError):
        of_size = lru_cache(_KEPT_SIZES)(partial(_traced, model))
        return lambda batch: numpy.asarray(
            of_size(*batch.shape[1:3])(tensorflow.convert_to_tensor(batch))
        )
    return lambda batch: numpy.asarray(every_size(tensorflow.convert_to_tensor(batch)))


def _traced(model: Any, height: int | None, width: int | None) -> Any:
    """TensorFlow's graph of a model for batches of any length; sizes may be left open."""
    tensorflow = import_module("tensorflow")
    spec = tensorflow.TensorSpec((None, height, width, model.input_shape[-1]), "uint8")
    function = tensorflow.function(
        lambda batch: tensorflow.cast(model(batch, training=False), "float32"),
        input_signature=[spec],
        autograph=False,
    )
    return function.get_concrete_function()


def openvino_forward(model: Any, precision: str) -> Callable[[Any], Any]:
    """The pass of a model over a batch, converted for OpenVINO and compiled once per shape.

    The weights are those of this moment: convert again after training.

    Args:
        model: A keras.Model of one input and one output, on Keras' TensorFlow backend.
        precision: ``f32``, or ``bf16`` where the processor computes with it.

    Returns:
        Maps an array (B, H, W, C) to a float32 array (B, H, W, K).

    Raises:
        ImportError: OpenVINO is not installed.
    """
    # Without this module OpenVINO reports nothing about its use to its makers.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    openvino = import_module("openvino")
    core, hints = openvino.Core(), {"INFERENCE_PRECISION_HINT": precision}
    one_at_a_time = Lock()

    @lru_cache(_KEPT_SIZES)
    def compiled(shape: tuple[int, ...]) -> Any:
        graph = openvino.convert_model(_traced(model, shape[1], shape[2]))
        graph.reshape(list(shape))
        return core.compile_model(graph, "CPU", hints)

    def forward(batch: Any) -> Any:
        with one_at_a_time:  # a compiled model holds the buffers of one request
            return compiled(batch.shape)(batch)[0]

    return forward


def _jax_forward(model: Any) -> Callable[[Any], Any]:
    """JAX compiles once per shape, batch size included."""
    jax, numpy = import_module("jax"), import_module("numpy")

    def compute(trainable: Any, other: Any, batch: Any) -> Any:
        answer, _ = model.stateless_call(trainable, other, batch, training=False)
        return answer.astype("float32")

    compiled = jax.jit(compute)

    def forward(batch: Any) -> Any:
        trainable, other = (
            [variable.value for variable in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        return numpy.asarray(compiled(trainable, other, batch))

    return forward
