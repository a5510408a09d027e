"""The thread that sends what a run has in its outbox, while the training goes on."""

import logging
import threading
import time
from collections.abc import Callable

from tiledseg.tracking.outbox import Entry, Outbox
from tiledseg.tracking.store import reason_of, store_address, store_errors
from tiledseg.tracking.store_problems import describe_absence, is_temporary

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between attempts to reach a store that is away: doubled each time."""
_LAST_DELIVERY_SECONDS = 60.0

logger = logging.getLogger(__name__)


class Sender:
    """Sends entries in order, each until it has arrived.

    Args:
        outbox: What to send.
        deliver: Sends one entry.
        renew: Called before each delivery, and now and then where there is none; what it raises
            ends the sending.
        pulse: Seconds between such calls.
    """

    def __init__(
        self,
        outbox: Outbox,
        deliver: Callable[[Entry], None],
        renew: Callable[[], None] = lambda: None,
        pulse: float = 5.0,
    ) -> None:
        self._outbox, self._deliver, self._renew, self._pulse = outbox, deliver, renew, pulse
        self._ending = threading.Event()
        self.error: Exception | None = None
        """What ended the sending, if something did."""
        self.away: str = ""
        """Why the store takes nothing just now, or empty while it does."""
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def __enter__(self) -> "Sender":
        """Begin to send."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread after the delivery that is under way."""
        self._ending.set()
        with self._outbox.changed:
            self._outbox.changed.notify_all()
        self._thread.join(_LAST_DELIVERY_SECONDS)

    def check(self) -> None:
        """Raise what ended the sending.

        Raises:
            TrackingError: The store refuses what is sent, or the run is another's.
            Exception: Another error.
        """
        if self.error is not None:
            with store_errors():
                raise self.error

    def drain(self, patience: float) -> bool:
        """Wait until all is sent; returns False when the store is away for longer.

        Args:
            patience: Seconds to wait for a store that does not answer. While entries arrive,
                there is no limit.

        Raises:
            TrackingError: The store refuses what is sent, or the run is another's.
            Exception: Another error that ended the sending.
        """
        left, since = len(self._outbox), time.monotonic()
        with self._outbox.changed:
            while len(self._outbox) and self.error is None:
                self._outbox.changed.wait(0.1)
                if len(self._outbox) != left or not self.away:
                    left, since = len(self._outbox), time.monotonic()
                if time.monotonic() - since > patience:
                    return False
        self.check()
        return True

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._ending.is_set():
            try:
                entry = self._outbox.take()
                self._renew()
                if entry is None:
                    with self._outbox.changed:
                        if not len(self._outbox) and not self._ending.is_set():
                            self._outbox.changed.wait(self._pulse)
                    continue
                self._deliver(entry)
                self._outbox.done(entry)
            except Exception as error:  # noqa: BLE001  # the thread's end must be seen by others
                if not is_temporary(error):
                    self._fail(error)
                    return
                problem = describe_absence(error, store_address(), reason_of(error))
                if not self.away:
                    logger.warning(
                        "%s; the work goes on, and what there is to send is kept until it is taken",
                        problem,
                    )
                self.away = problem
                self._ending.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if self.away:
                    logger.warning("the MLflow store %s answers again", store_address())
                pause, self.away = FIRST_PAUSE, ""

    def _fail(self, error: Exception) -> None:
        with self._outbox.changed:
            self.error = error
            self._outbox.changed.notify_all()
