"""The precision to train in on this machine, and whether XLA compiles the training step."""

from pathlib import Path


def fast_precision(cpu_flags: Path = Path("/proc/cpuinfo")) -> str:
    """Choose the Keras dtype policy that trains fastest here; weights stay float32.

    Returns:
        ``mixed_bfloat16`` on processors that compute with bfloat16 (others emulate it, many
        times slower), else ``float32``.
    """
    try:
        flags = set(cpu_flags.read_text(encoding="utf-8").split())
    except OSError:  # only Linux has the file
        return "float32"
    return "mixed_bfloat16" if flags & {"avx512_bf16", "amx_bf16"} else "float32"


def compiles_by_xla(precision: str) -> bool:
    """Whether Keras should hand a training step to XLA.

    JAX works through XLA alone. TensorFlow's float32 convolutions are oneDNN's without it, and
    a step of the U-Net takes a quarter less time on a CPU.

    Args:
        precision: ``float32`` or ``mixed_bfloat16``.
    """
    import keras  # noqa: PLC0415  # importing this module must not load a backend

    return precision != "float32" or bool(keras.config.backend() == "jax")
