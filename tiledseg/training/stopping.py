"""Ctrl-C and SIGTERM: noted by the handler, acted on where the program looks for them."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody wants the work to stop.

    Python swallows an exception that a signal handler raises inside a finalizer, as databases
    and sockets have them, and the request would be lost. So where somebody looks at ``is_set``,
    the first signal is only noted.
    """

    def __init__(self) -> None:
        self._asked, self._waits = threading.Event(), False
        self.signal = signal.SIGINT
        """Which signal asked for it."""

    def set(self) -> None:
        """Ask for a stop."""
        self._asked.set()

    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self._asked.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, or end when a stop is asked for.

        Raises:
            KeyboardInterrupt: By Ctrl-C.
            SystemExit: By SIGTERM, with 143.
        """
        if self._asked.wait(seconds):
            self._end()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within, the first signal waits for whoever looks at ``is_set``, or pauses."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def handle(self, number: int, _frame: FrameType | None = None) -> None:
        """Note a signal; a second one, or one that nobody looks for, acts at once.

        Raises:
            KeyboardInterrupt: By Ctrl-C.
            SystemExit: By SIGTERM, with 143.
        """
        self.signal = signal.Signals(number)
        if self._waits and not self.is_set():
            self.set()
        else:
            self._end()

    def _end(self) -> NoReturn:
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + self.signal)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Have Ctrl-C and SIGTERM ask for a stop.

    In a thread other than the main one, signals stay as they are; so do ignored ones, as a shell
    ignores them for what it starts in the background.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    own = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    for number in own:
        signal.signal(number, request.handle)
    try:
        yield request
    finally:
        for number in own:
            signal.signal(number, before[number])
