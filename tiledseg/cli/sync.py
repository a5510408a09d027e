"""The verb that sends what a store that was away has not taken."""

from typing import TYPE_CHECKING, Annotated

import typer

from tiledseg.backend import load_backend
from tiledseg.cli.app import app
from tiledseg.cli.console import show_error, show_line
from tiledseg.errors import StoreAwayError, TiledsegError

if TYPE_CHECKING:
    from tiledseg.tracking.syncing import SentRun


@app.command(epilog="Example: tiledseg sync 0123456789abcdef0123456789abcdef")
def sync(
    run: Annotated[
        str, typer.Argument(help="Id of a run; all that have something to send if absent.")
    ] = "",
) -> None:
    """Send what runs of this machine could not send, and close them truthfully."""
    load_backend()
    from tiledseg.tracking.store import connect  # noqa: PLC0415  # loads TensorFlow
    from tiledseg.tracking.syncing import list_unsent, sync_run  # noqa: PLC0415

    if run:
        show_sent(run, sync_run(run))
        return
    unsent = list_unsent()
    if not unsent:
        show_line("nothing to send")
        return
    connect()
    failed = False
    for run_id in unsent:
        try:
            show_sent(run_id, sync_run(run_id))
        except StoreAwayError:
            raise
        except TiledsegError as error:  # of one run; others may be sent all the same
            show_error(str(error))
            failed = True
    if failed:
        raise typer.Exit(1)


def send_leftovers() -> None:
    """Send what runs that have ended on this machine left here, before a command begins.

    Nothing is asked of the store where there is nothing to send. What cannot be sent stays, and is
    said; the command goes on.
    """
    from tiledseg.tracking.syncing import (  # noqa: PLC0415  # loads TensorFlow
        list_leftovers,
        list_unsent,
        sync_run,
    )

    if not list_unsent():
        return
    for run_id in list_leftovers():
        try:
            show_sent(run_id, sync_run(run_id))
        except TiledsegError as error:
            show_error(f"{error}; this command goes on without it")


def show_sent(run_id: str, sent: "SentRun") -> None:
    """One line about a run of which all is in the store now."""
    before = "" if sent.run_id == run_id else f"{run_id} -> "
    show_line(f"run         {before}{sent.run_id}  {sent.status}, all of it is in the store")
