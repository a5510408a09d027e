"""All runs of the store, read once and then updated at little cost."""

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache

from tiledseg.errors import TiledsegError, TrackingError
from tiledseg.tracking import queries
from tiledseg.tracking.queries import RunSummary

logger = logging.getLogger(__name__)

FRESH = 5.0
"""Seconds for which an answer of the store is good."""
ANEW = 900.0
"""Seconds after which all runs are read again, so that removed ones disappear."""
OPEN = "attributes.status = 'RUNNING'"
"""MLflow's filter of runs that go on."""
OPEN_STATES = ("RUNNING", queries.DIED)
"""Of runs that may become others: one that died may be resumed."""


class RunTable:
    """All runs; a look costs a small page of the store, unless many are new."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, RunSummary] = {}  # never changed, only replaced
        self._read = self._whole = 0.0
        self._renewal: threading.Thread | None = None

    def runs(self) -> list[RunSummary]:
        """Every run, the newest first.

        Raises:
            TrackingError: The store does not answer.
        """
        with self._lock:
            now = time.monotonic()
            if not self._runs:
                self._runs = _by_id(queries.read_runs())
                self._read = self._whole = time.monotonic()
            elif now - self._read > FRESH:
                self._runs = _follow(self._runs)
                self._read = time.monotonic()
                if now - self._whole > ANEW and self._renewal is None:
                    self._renewal = threading.Thread(target=self._renew, daemon=True)
                    self._renewal.start()
            return sorted(self._runs.values(), key=lambda run: run.started, reverse=True)

    def peek(self) -> list[RunSummary] | None:
        """The runs as ``runs`` returns them; None until the store has been read once."""
        return self.runs() if self._runs else None

    def find_ended(self, run_id: str) -> RunSummary | None:
        """A run that has ended, if it is in the table; the store is not asked."""
        run = self._runs.get(run_id)
        return None if run is None or run.status in OPEN_STATES else run

    def _renew(self) -> None:
        """Read all runs again, while pages go on with those from before."""
        try:
            runs = _by_id(queries.read_runs())
            with self._lock:
                self._runs = runs
                self._read = 0.0  # those that began meanwhile are new at the next look
        except TiledsegError as error:
            logger.info("runs could not be read anew: %s", error)
        finally:
            self._whole = time.monotonic()
            self._renewal = None


def _follow(known: Mapping[str, RunSummary]) -> dict[str, RunSummary]:
    """What the store says now; of runs that began long ago, those that were open as well."""
    runs = _by_id(queries.read_runs(known=known))
    still = _by_id(queries.read_runs(condition=OPEN))
    for run in list(runs.values()):
        if run.status in OPEN_STATES and run.run_id not in still:
            del runs[run.run_id]
            with suppress(TrackingError):  # it was removed
                runs[run.run_id] = queries.read_run(run.run_id)
    return runs | still


def _by_id(runs: Iterable[RunSummary]) -> dict[str, RunSummary]:
    return {run.run_id: run for run in runs}


@cache
def run_table() -> RunTable:
    """The one table of this process."""
    return RunTable()
