"""Compiled forward passes of Keras models, for TensorFlow, JAX and OpenVINO."""

import gc
import hashlib
import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import import_module
from threading import Lock
from typing import Any, TypeVar

from tiledseg.backend.loading import find_loaded_backend

_KEPT = "_tiledseg_forward"
_HELD = "_tiledseg_held_digest"
_KEPT_SIZES = 8

Forward = Callable[[Any], Any]
Apply = Callable[[Any, Any, Any, Hashable], Any]
"""Maps a batch, places, sizes and fixed settings to an output, by the layers of a model."""
Application = Apply
"""The same for arrays, but for sizes: tuples, all alike."""
Sizes = tuple[tuple[int, ...], ...]
Compiled = TypeVar("Compiled", Forward, Application)
Trace = Callable[[int | None, int | None], Any]
"""TensorFlow's graph of a model for windows of some height and width; None leaves one open."""


def compile_forward(model: Any) -> Forward:
    """Compile the forward pass of a model, once for the weights that it has now.

    The function is kept on the model, where it goes when the model goes, and may be called from
    several threads. Ask again after the weights have changed: one that is held keeps those of
    its time.

    Args:
        model: A keras.Model of one input and one output.

    Returns:
        Maps an array (B, H, W, C) to a float32 array (B, H, W, K).

    Raises:
        BackendError: Keras computes with neither TensorFlow nor JAX.
    """
    if find_loaded_backend() == "jax":
        no_weights = b""  # they are given to every pass
        return _reuse(model, "jax", no_weights, lambda: _jax_forward(model))
    return _reuse(model, "tensorflow", _digest(model), lambda: _tensorflow_forward(model))


@contextmanager
def hold_weights(model: Any) -> Iterator[None]:
    """Have the weights of a model read once for all passes that are asked for within.

    TensorFlow does not tell whether a variable has changed, so that each ``compile_forward``
    otherwise reads all of them, which takes longer than a pass over a small image. Within, the
    weights must not change.

    Args:
        model: A keras.Model.
    """
    if _HELD in vars(model) or find_loaded_backend() == "jax":
        yield
        return
    vars(model)[_HELD] = _digest(model)
    try:
        yield
    finally:
        del vars(model)[_HELD]


def compile_application(model: Any, name: str, apply: Apply) -> Application:
    """Compile a pass in which the caller's own function applies the layers of a model.

    Kept like that of ``compile_forward``.

    Args:
        model: A keras.Model.
        name: Tells the function from others for the same model.
        apply: Calls the model's layers, in the calls of Keras' backend. Sizes are a tensor where
            one graph serves all of them, else numbers.

    Returns:
        Maps an array (1, H, W, C), places (N, M), sizes (N, M) and what is fixed to a float32
        array. JAX compiles anew for other sizes; what is fixed has to be hashable.

    Raises:
        BackendError: Keras computes with neither TensorFlow nor JAX.
    """
    if find_loaded_backend() == "jax":
        return _reuse(model, f"jax {name}", b"", lambda: _jax_application(model, apply))
    return _reuse(
        model,
        f"tensorflow {name}",
        _digest(model),
        lambda: _tensorflow_application(model, apply),
    )


def openvino_forward(model: Any, precision: str) -> Forward:
    """Convert the forward pass of a model for OpenVINO, which compiles it once per shape.

    Kept like that of ``compile_forward``.

    Args:
        model: A keras.Model of one input and one output, on Keras' TensorFlow backend.
        precision: ``f32``, or ``bf16`` where the processor computes with it.

    Returns:
        Maps an array (B, H, W, C) to a float32 array (B, H, W, K).

    Raises:
        ImportError: OpenVINO is not installed.
    """
    core = _openvino_core()
    return _reuse(
        model,
        f"openvino {precision}",
        _digest(model),
        lambda: _openvino_forward(_freeze(model), core, precision),
    )


def _reuse(model: Any, runtime: str, weights: bytes, make: Callable[[], Compiled]) -> Compiled:
    """The function compiled for a runtime and these weights; compiled now if there is none."""
    made: dict[str, tuple[bytes, Compiled] | None] = vars(model).setdefault(_KEPT, {})
    known = made.get(runtime)
    if known is not None and known[0] != weights:
        known = made[runtime] = None
        gc.collect()  # a graph refers to itself, and holds a copy of the weights
    if known is None:
        known = made[runtime] = (weights, make())
    return known[1]


def _digest(model: Any) -> bytes:
    """A digest of a model's weights, at more than a gigabyte per second."""
    held: bytes | None = vars(model).get(_HELD)
    if held is not None:
        return held
    digest = hashlib.sha256()
    for variable in model.variables:
        digest.update(variable.numpy().tobytes())
    return digest.digest()


def _freeze(model: Any) -> Trace:
    """Make TensorFlow graphs of a model with its present weights as constants.

    oneDNN lays constants out once, as its fast convolutions want them. Weights that are variables
    are laid out at every pass or, for a batch of one, not at all: TensorFlow 2.21 then falls back
    to a convolution that takes two to three times as long and half as much memory again.
    """
    tensorflow = import_module("tensorflow")
    trainable, other = (
        [variable.numpy() for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )

    def compute(batch: Any) -> Any:
        answer, _ = model.stateless_call(trainable, other, batch, training=False)
        return tensorflow.cast(answer, "float32")

    def trace(height: int | None, width: int | None) -> Any:
        spec = tensorflow.TensorSpec((None, height, width, model.input_shape[-1]), "uint8")
        function = tensorflow.function(compute, input_signature=[spec], autograph=False)
        return function.get_concrete_function()

    return trace


def _tensorflow_forward(model: Any) -> Forward:
    """One function for all shapes; for a model that refuses open sizes, one for each size.

    Keras 3.15's bilinear UpSampling2D compares sizes with 0, which fails where they are open.
    """
    tensorflow, numpy = import_module("tensorflow"), import_module("numpy")
    trace = _freeze(model)
    try:
        every_size = trace(*model.input_shape[1:3])
    except (TypeError, ValueError):
        of_size = lru_cache(_KEPT_SIZES)(trace)
        return lambda batch: numpy.asarray(
            of_size(*batch.shape[1:3])(tensorflow.convert_to_tensor(batch))
        )
    return lambda batch: numpy.asarray(every_size(tensorflow.convert_to_tensor(batch)))


def _tensorflow_application(model: Any, apply: Apply) -> Application:
    """Weights as constants and one graph for all sizes where that can be, as in ``_freeze``."""
    tensorflow, keras = import_module("tensorflow"), import_module("keras")
    weights = [(variable, variable.numpy()) for variable in model.variables]

    @lru_cache(_KEPT_SIZES)
    def trace(shape: tuple[int | None, ...], sizes: Sizes | None, fixed: Hashable) -> Any:
        def compute(batch: Any, places: Any, open_sizes: Any) -> Any:
            with keras.StatelessScope(state_mapping=weights):
                return tensorflow.cast(apply(batch, places, sizes or open_sizes, fixed), "float32")

        spec, numbers = tensorflow.TensorSpec, tensorflow.TensorSpec((None, None), "int32")
        signature = spec(shape, "uint8"), numbers, numbers
        function = tensorflow.function(compute, input_signature=signature, autograph=False)
        return function.get_concrete_function()

    @lru_cache(_KEPT_SIZES)
    def every_size(fixed: Hashable) -> Any:
        try:
            return trace((1, None, None, model.input_shape[-1]), None, fixed)
        except (TypeError, ValueError):
            return None

    def application(batch: Any, places: Any, sizes: Sizes, fixed: Hashable) -> Any:
        function = every_size(fixed) or trace(batch.shape, sizes, fixed)
        constant = tensorflow.constant
        return function(constant(batch), constant(places), constant(sizes, "int32")).numpy()

    return application


@cache
def _openvino_core() -> Any:
    """The one OpenVINO core of this process.

    Each core of OpenVINO 2026.4 gives the thread another stack for its signal handlers, and takes
    it away when it goes. After two cores that go in the order they came, that stack is no memory
    any more, and Ctrl-C crashes the process.
    """
    # Without this module OpenVINO reports nothing about its use to its makers.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return import_module("openvino").Core()


def _openvino_forward(trace: Trace, core: Any, precision: str) -> Forward:
    openvino, hints = import_module("openvino"), {"INFERENCE_PRECISION_HINT": precision}
    one_at_a_time = Lock()

    @lru_cache(_KEPT_SIZES)
    def compile_shape(shape: tuple[int, ...]) -> Any:
        graph = openvino.convert_model(trace(shape[1], shape[2]))
        graph.reshape(list(shape))
        return core.compile_model(graph, "CPU", hints)

    def forward(batch: Any) -> Any:
        with one_at_a_time:  # a compiled model holds the buffers of one request
            return compile_shape(batch.shape)(batch)[0]

    return forward


def _jax_forward(model: Any) -> Forward:
    """JAX compiles once per shape, batch size included; weights are given to every pass."""
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


def _jax_application(model: Any, apply: Apply) -> Application:
    jax, numpy, keras = import_module("jax"), import_module("numpy"), import_module("keras")

    def compute(values: Any, batch: Any, places: Any, sizes: Sizes, fixed: Hashable) -> Any:
        weights = list(zip(model.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=weights):
            return apply(batch, places, sizes, fixed).astype("float32")

    compiled = jax.jit(compute, static_argnums=(3, 4))

    def application(batch: Any, places: Any, sizes: Sizes, fixed: Hashable) -> Any:
        values = [variable.value for variable in model.variables]
        return numpy.asarray(compiled(values, batch, places, sizes, fixed))

    return application
