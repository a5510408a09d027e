"""Ctrl-C and SIGTERM: noted by the handler, acted on where the program waits."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether Ctrl-C or SIGTERM came.

    Python swallows an exception that a signal handler raises inside a finalizer, as databases
    and sockets have them, and the request would be lost. So the first signal is only noted.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._signal = 0

    def note(self, number: int) -> None:
        """Remember a signal."""
        self._signal = number
        self._asked.set()

    def pause(self, seconds: float) -> None:
        """Wait, or end when a signal has come.

        Raises:
            KeyboardInterrupt: By Ctrl-C.
            SystemExit: By SIGTERM, with 143.
        """
        if self._asked.wait(seconds):
            if self._signal == signal.SIGINT:
                raise KeyboardInterrupt
            sys.exit(143)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Note the first signal; the second acts at once, as it would have without this.

    In a thread other than the main one, signals stay as they are; so do ignored ones.
    """
    stop_request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop_request
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    ignored = [number for number, handler in before.items() if handler == signal.SIG_IGN]
    for number in ignored:  # as a shell does for what it starts in the background
        del before[number]

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        restore()
        stop_request.note(number)

    for number in before:
        signal.signal(number, note)
    try:
        yield stop_request
    finally:
        restore()
