"""What this machine can compute a training step in: precisions, and compiled by XLA or not."""

from dataclasses import dataclass
from pathlib import Path

from tiledseg.backend.hardware import CPU_INFO, describe_devices, list_features

_BFLOAT16_UNITS = frozenset({"avx512_bf16", "amx_bf16"})


@dataclass(frozen=True)
class Arithmetic:
    """How a training step is computed.

    Attributes:
        precision: Keras' dtype policy; weights are float32 in all of them.
        xla: Whether XLA compiles it.
    """

    precision: str
    xla: bool

    def __str__(self) -> str:
        return f"{self.precision}, XLA" if self.xla else self.precision


def list_arithmetics(cpu_info: Path = CPU_INFO) -> list[Arithmetic]:
    """All that is worth a try on this machine, the safest first.

    bfloat16 is tried where a graphics card or the processor computes with it: others emulate it,
    many times slower.
    """
    on_card = describe_devices() != "cpu"
    tried = on_card or has_bfloat16_units(cpu_info)
    precisions = ["float32", *(["mixed_bfloat16"] if tried else [])]
    compiled = [True] if needs_xla() else [False, True]
    return [Arithmetic(precision, xla) for xla in compiled for precision in precisions]


def assume_arithmetic(cpu_info: Path = CPU_INFO) -> Arithmetic:
    """What is likely to be fast where nothing was timed: the last resort without XLA."""
    plain = [each for each in list_arithmetics(cpu_info) if each.xla == needs_xla()]
    return plain[-1]


def has_bfloat16_units(cpu_info: Path = CPU_INFO) -> bool:
    """Whether the processor computes with bfloat16."""
    return bool(_BFLOAT16_UNITS & set(list_features(cpu_info)))


def needs_xla() -> bool:
    """Whether Keras' backend computes through XLA alone, as JAX does."""
    import keras  # noqa: PLC0415  # importing this module must not load a backend

    return bool(keras.config.backend() == "jax")
