"""Reserving memory in TensorFlow's pool."""

from functools import cache
from importlib import import_module

from tiledseg.backend.loading import find_loaded_backend


def reserve_memory(size: int) -> None:
    """Reserve one piece of memory that a forward pass fits into, before the pool grows by itself.

    With oneDNN, TensorFlow 2.21 computes on a CPU in a pool that grows by pieces, each larger than
    the last. Pieces are never joined nor given back, so that a tensor that finds no gap can double
    what a process holds. Of a piece that is reserved only the part that is used takes memory.

    Args:
        size: Bytes that a pass is estimated to need. Asking again, or for less, costs nothing.
    """
    if size > 0 and find_loaded_backend() == "tensorflow":
        _reserve(size.bit_length())


@cache
def _reserve(power: int) -> None:
    """Put a piece of twice to four times the size, in bytes a power of two, into the pool."""
    tensorflow = import_module("tensorflow")
    try:
        with tensorflow.device("CPU:0"):
            tensorflow.raw_ops.Empty(
                shape=[2 ** (power + 1) // 8], dtype=tensorflow.int64, init=False
            )
    except tensorflow.errors.OpError:
        pass  # a small machine: the pool grows by what it gets
