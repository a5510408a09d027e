"""Processes that a fork server begins: it knows Keras, which a fresh one loads for seconds."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any


def start_forked(
    work: Callable[..., None], arguments: Sequence[Any], preloaded: Sequence[str]
) -> BaseProcess:
    """Begin some work in a process of its own.

    Args:
        work: A function of a module.
        arguments: Its arguments; they can be pickled.
        preloaded: Modules that the fork server knows, if it is started by this.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preloaded))
    process = context.Process(target=work, args=tuple(arguments))
    with _nameless_main():
        process.start()
    return process


@contextmanager
def _nameless_main() -> Iterator[None]:
    """The new process does not run this one's main file again, which pytest-xdist's cannot bear."""
    main = vars(sys.modules["__main__"])
    kept = {name: main.pop(name) for name in ("__file__",) if name in main}
    try:
        yield
    finally:
        main.update(kept)
