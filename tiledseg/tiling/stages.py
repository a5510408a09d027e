"""Three stages side by side: one produces, one computes, one consumes, with little in between."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class _StoppedError(Exception):
    """Another stage failed; there is nothing left to do."""


class _Belt(Generic[A]):
    """One place between two stages: who puts waits until it is free, who takes until it is not."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[A] = []
        self._ended = self._stopped = False

    def put(self, item: A) -> None:
        """Hand an item on.

        Raises:
            _StoppedError: Nobody wants it any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._waiting)
            if self._stopped:
                raise _StoppedError
            self._waiting.append(item)
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no item follows."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Release both sides at once."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[A]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._waiting or self._ended)
                if self._stopped:
                    raise _StoppedError
                if not self._waiting:
                    return
                item = self._waiting.pop()
                self._changed.notify_all()
            yield item
            del item  # or it would be held while the next one is waited for


def run_stages(
    produce: Iterable[A], compute: Callable[[A], B], consume: Callable[[B], object]
) -> None:
    """Pass every item through three stages, each in a thread of its own.

    At most one item waits between two stages, so that at most five are alive: one in each
    stage and one on each belt. ``compute`` runs in the calling thread. Items keep their order.

    Args:
        produce: Iterated in a thread.
        compute: Called with each item.
        consume: Called in a thread with what ``compute`` gave.

    Raises:
        BaseException: Whatever a stage raised first; the others are stopped after the item that
            they are at, and no thread is left.
    """
    raw, computed = _Belt[A](), _Belt[B]()
    failures: list[BaseException] = []

    def guarded(stage: Callable[[], None]) -> None:
        try:
            stage()
        except _StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again below, by its own type
            failures.append(error)
            raw.stop()
            computed.stop()

    def fill() -> None:
        for item in produce:
            raw.put(item)
        raw.end()

    def transform() -> None:
        for item in raw:
            computed.put(compute(item))
        computed.end()

    def drain() -> None:
        for item in computed:
            consume(item)

    threads = [threading.Thread(target=guarded, args=(stage,)) for stage in (fill, drain)]

    def wait() -> None:
        for thread in threads:
            thread.join()

    for thread in threads:
        thread.start()
    guarded(transform)
    guarded(wait)  # Ctrl+C may come here too, and then stops the threads
    wait()
    if failures:
        raise failures[0]
