"""Work that takes longer than a page may wait: in threads of their own, which pages look at.

A page that is opened again, or by somebody else, finds the work that goes on. Work that nobody
looks at any more ends.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from dashboards.segmentation import Report
from tiledseg.errors import StoppedError, TiledsegError

UNSEEN_SECONDS = 180.0
"""Browsers let a page in the background look once a minute."""
MOST_KEPT = 64
"""Jobs that are remembered after their end, for what went wrong."""

Work = Callable[[Report], object]
"""Is given what it tells how far it is."""


class Job:
    """Some work, and how far it is.

    Args:
        work: Runs in a thread.
    """

    def __init__(self, work: Work) -> None:
        self.share = 0.0
        """From 0 to 1."""
        self.words = ""
        self.error: TiledsegError | None = None
        """What went wrong, for the reader."""
        self.is_stopped = False
        """Whether it was ended early."""
        self.seen = time.monotonic()
        """When somebody last looked at it."""
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; whether it has."""
        self._thread.join(seconds)
        return self.is_done

    def _run(self, work: Work) -> None:
        try:
            work(self._report)
        except StoppedError:
            self.is_stopped = True
        except TiledsegError as error:
            self.error = error
        except Exception as problem:
            self.error = TiledsegError(
                f"{type(problem).__name__}: {problem}; the dashboard's own log says more"
            )
            raise

    def _report(self, share: float, words: str) -> None:
        self.share, self.words = share, words
        if self.is_stopped or time.monotonic() - self.seen > UNSEEN_SECONDS:
            raise StoppedError("nobody waits for this any more")


_jobs: OrderedDict[str, Job] = OrderedDict()
_guard = threading.Lock()


def find_job(key: str) -> Job | None:
    """The job of that key, going on or ended, or None; it is looked at."""
    with _guard:
        job = _jobs.get(key)
        if job is not None:
            job.seen = time.monotonic()
        return job


def start_job(key: str, work: Work) -> Job:
    """Start some work, unless the same goes on already.

    Args:
        key: Tells this work from other work.
        work: Is given what it tells how far it is.
    """
    with _guard:
        job = _jobs.get(key)
        if job is None or job.is_done:
            job = _jobs[key] = Job(work)
        _jobs.move_to_end(key)
        ended = [name for name, other in _jobs.items() if other.is_done]
        for name in ended[: max(0, len(_jobs) - MOST_KEPT)]:
            del _jobs[name]
        return job


def stop_job(key: str) -> None:
    """End a job at its next step, and forget it."""
    with _guard:
        job = _jobs.pop(key, None)
    if job is not None:
        job.is_stopped = True
