"""Three stages side by side: one produces, one computes, one consumes, with little in between."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class _StoppedError(Exception):
    """Another stage failed; there is nothing left to do."""


class _Belt(Generic[A]):
    """One place between two stages: who puts waits until it is free, who takes until it is not.

    Args:
        by_hand: Who puts waits until the item is taken, too, so that none lies on the belt.
    """

    def __init__(self, *, by_hand: bool = False) -> None:
        self._by_hand = by_hand
        self._changed = threading.Condition()
        self._waiting: list[A] = []
        self._ended = self._stopped = False

    def put(self, item: A) -> None:
        """Hand an item on.

        Raises:
            _StoppedError: Nobody wants it any more.
        """
        with self._changed:
            self._wait_until_free()
            self._waiting.append(item)
            self._changed.notify_all()
            if self._by_hand:
                self._wait_until_free()

    def _wait_until_free(self) -> None:
        self._changed.wait_for(lambda: self._stopped or not self._waiting)
        if self._stopped:
            raise _StoppedError

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

    At most four items are alive: one in each stage, and one that waits to be computed. What has
    been computed is never ahead of what is consumed by more than the next item, so whoever is
    killed has lost two. ``compute`` runs in the calling thread. Items keep their order.

    Args:
        produce: Iterated in a thread.
        compute: Called with each item.
        consume: Called in a thread with what ``compute`` gave.

    Raises:
        BaseException: Whatever a stage raised first; the others are stopped after the item that
            they are at, and no thread is left.
    """
    raw, computed = _Belt[A](), _Belt[B](by_hand=True)
    failures: list[BaseException] = []

    def guard(stage: Callable[[], None]) -> None:
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

    threads = [threading.Thread(target=guard, args=(stage,)) for stage in (fill, drain)]

    def wait() -> None:
        for thread in threads:
            thread.join()

    for thread in threads:
        thread.start()
    guard(transform)
    guard(wait)  # Ctrl+C may come here too, and then stops the threads
    wait()
    if failures:
        raise failures[0]
