"""What depends on the machine: loading Keras and its backend, and the arithmetic it is good at."""

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path


def load_backend() -> None:
    """Import Keras; what its backend writes to standard error is shown only if that fails.

    TensorFlow 2.21 reports on CPU features and missing GPUs before its own log level applies,
    so the file descriptor is turned aside while it is imported.
    """
    if "keras" in sys.modules:
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as chatter:
        standard_error = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            import_module("keras")
        except BaseException:
            chatter.seek(0)
            os.write(standard_error, chatter.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)


def fast_precision(cpu_flags: Path = Path("/proc/cpuinfo")) -> str:
    """The Keras dtype policy that trains fastest here without losing float32 weights.

    Returns:
        ``mixed_bfloat16`` on processors that compute with bfloat16 (others emulate it, many
        times slower), else ``float32``.
    """
    try:
        flags = set(cpu_flags.read_text(encoding="utf-8").split())
    except OSError:  # Linux alone tells
        return "float32"
    return "mixed_bfloat16" if flags & {"avx512_bf16", "amx_bf16"} else "float32"


def compiles_by_xla(precision: str) -> bool:
    """Whether Keras should hand a training step to XLA.

    JAX works through XLA alone. TensorFlow's float32 convolutions are oneDNN's without it, and
    a step of the U-Net takes a quarter less time on a CPU.

    Args:
        precision: ``float32`` or ``mixed_bfloat16``.
    """
    import keras  # noqa: PLC0415  # this module is imported before a backend is wanted

    return precision != "float32" or bool(keras.config.backend() == "jax")
