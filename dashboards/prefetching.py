"""Pictures that are cut into tiles before the browser asks for the first one.

Between a page's script and the first request for a tile lie the way to the browser and the
building of the viewer. A large picture is decoded by then, or nearly.
"""

import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from dashboards.decoding import AT_ONCE
from dashboards.pictures import Picture
from dashboards.pyramids import open_pyramid
from tiledseg.errors import TiledsegError

MOST_WAITING = 16
"""Pictures that wait; whoever leafs through many wants the last ones."""

_waiting: deque[Picture] = deque(maxlen=MOST_WAITING)
_changed = threading.Condition()
_threads: list[threading.Thread] = []


def prefetch(pictures: Iterable[Picture]) -> None:
    """Begin with the pyramids of pictures; those of the latest call come first, in their order.

    One that cannot be read is refused when its tiles are asked for.
    """
    with _changed:
        for picture in reversed(list(pictures)):
            if picture in _waiting:
                _waiting.remove(picture)
            _waiting.append(picture)
        while len(_threads) < AT_ONCE:
            _threads.append(threading.Thread(target=_work, name="prefetching", daemon=True))
            _threads[-1].start()
        _changed.notify_all()


def _work() -> None:
    while True:
        with _changed:
            _changed.wait_for(lambda: _waiting)
            picture = _waiting.pop()
        with suppress(TiledsegError):
            open_pyramid(picture.path, picture.kind, label=picture.label)
