"""A queue for decoding images: those in the viewer first, thumbnails after them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 2
"""Pictures that are decoded side by side, so that memory is bounded."""

_turn = threading.Condition()
_decoding = _urgent_waiting = 0


@contextmanager
def take_turn(*, urgent: bool) -> Iterator[None]:
    """Wait for a turn, and keep it for the block.

    What is not urgent lets the urgent pass, and always leaves it a place.
    """
    places = AT_ONCE if urgent else AT_ONCE - 1
    global _decoding, _urgent_waiting  # noqa: PLW0603  # one queue in this process
    with _turn:
        _urgent_waiting += urgent
        _turn.wait_for(lambda: _decoding < places and (urgent or not _urgent_waiting))
        _urgent_waiting -= urgent
        _decoding += 1
    try:
        yield
    finally:
        with _turn:
            _decoding -= 1
            _turn.notify_all()
