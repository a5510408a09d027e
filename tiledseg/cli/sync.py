"""The verb that sends what a store that was away has not taken."""

from typing import Annotated

import typer

from tiledseg.backend import load_backend
from tiledseg.cli.app import app
from tiledseg.cli.console import show_line


@app.command(epilog="Example: tiledseg sync 0123456789abcdef0123456789abcdef")
def sync(
    run: Annotated[
        str, typer.Argument(help="Id of a run; all that have something to send if absent.")
    ] = "",
) -> None:
    """Send what runs of this machine could not send, and close them truthfully."""
    load_backend()
    from tiledseg.tracking.syncing import list_unsent, sync_run  # noqa: PLC0415  # loads TensorFlow

    runs = [run] if run else list_unsent()
    if not runs:
        show_line("nothing to send")
    for run_id in runs:
        show_line(f"run         {run_id}  {sync_run(run_id)}, all of it is in the store")
