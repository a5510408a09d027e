"""How a run ends: well, by an error, or stopped from outside."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tiledseg.errors import StoppedError
from tiledseg.tracking.ownership import LostRunError


@dataclass(frozen=True)
class RunEnd:
    """The end of a run.

    Attributes:
        status: FINISHED; FAILED after an error; KILLED when the user or the system stopped it.
        error: What failed, or empty.
        moment: When, in milliseconds since 1970.
    """

    status: str
    error: str
    moment: int


@contextmanager
def report_end(report: Callable[[RunEnd], None]) -> Iterator[None]:
    """Say how the block ended, whatever happens; not of a run that another process has taken."""
    status, error = "FAILED", ""
    try:
        yield
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit, StoppedError):
        status = "KILLED"
        raise
    except LostRunError:
        status = ""
        raise
    except Exception as problem:
        error = str(problem) or type(problem).__name__
        raise
    finally:
        if status:
            report(RunEnd(status, error, time.time_ns() // 1_000_000))
