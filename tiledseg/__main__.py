"""Entry of the command line: quiet libraries, one-line errors, exit codes."""

import io
import logging
import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line; exits with 0, or with 1 and one line on what can be mended."""
    _quiet_libraries()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal's encoding has not
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _leave)
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  # after the quieting
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from tiledseg.cli import app  # noqa: PLC0415
    from tiledseg.cli.console import show_error  # noqa: PLC0415
    from tiledseg.errors import TiledsegError, is_disk_fault  # noqa: PLC0415

    try:
        app(prog_name="tiledseg")
    except TiledsegError as error:
        show_error(str(error))
        sys.exit(error.exit_code)
    except (MlflowException, SQLAlchemyError) as error:
        show_error(f"the MLflow store failed: {' '.join(str(error).split())[:500]}")
        sys.exit(1)
    except OSError as error:
        if not is_disk_fault(error):
            raise
        show_error(f"{error}; make room, or choose a place that can be written")
        sys.exit(1)


def _quiet_libraries() -> None:
    """Keep start-up chatter off the screen; warnings of ours and of MLflow still show."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("tiledseg").setLevel(logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # zarr leaves tasks at a bad chunk
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # where it is loaded already


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """A polite kill becomes an exception, so that the open MLflow run is closed."""
    sys.exit(143)


if __name__ == "__main__":
    main()
