"""Everything that depends on the machine or on Keras' backend; only this room imports one."""

from tiledseg.backend.arithmetic import (
    Arithmetic,
    assume_arithmetic,
    has_bfloat16_units,
    list_arithmetics,
    needs_xla,
)
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
    "Arithmetic",
    "assume_arithmetic",
    "compile_application",
    "compile_forward",
    "count_threads",
    "describe_devices",
    "describe_processor",
    "has_bfloat16_units",
    "hold_weights",
    "list_arithmetics",
    "list_features",
    "load_backend",
    "needs_xla",
    "openvino_forward",
    "reserve_memory",
]
