"""Everything that depends on the machine or on Keras' backend; only this room imports one."""

from tiledseg.backend.arithmetic import compiles_by_xla, fast_precision
from tiledseg.backend.forward import (
    compile_application,
    compile_forward,
    hold_weights,
    openvino_forward,
)
from tiledseg.backend.hardware import (
    count_threads,
    describe_devices,
    describe_processor,
    list_features,
)
from tiledseg.backend.loading import load_backend
from tiledseg.backend.memory import reserve_memory

__all__ = [
    "compile_application",
    "compile_forward",
    "compiles_by_xla",
    "count_threads",
    "describe_devices",
    "describe_processor",
    "fast_precision",
    "hold_weights",
    "list_features",
    "load_backend",
    "openvino_forward",
    "reserve_memory",
]
