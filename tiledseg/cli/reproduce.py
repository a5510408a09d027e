"""The verb that trains again what a run has trained, and compares."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tiledseg.backend import load_backend
from tiledseg.cli.app import app
from tiledseg.cli.console import ConsoleObserver, console, show_error, show_line
from tiledseg.errors import StoppedError

if TYPE_CHECKING:
    from tiledseg.reproduction import Reproduction

_MOST_ROWS = 20


@app.command(epilog="Example: tiledseg reproduce 0123456789abcdef0123456789abcdef")
def reproduce(
    run: Annotated[str, typer.Argument(help="Id of a training that is FINISHED.")],
    with_this_code: Annotated[
        bool, typer.Option("--with-this-code", help="Go on where the run was made by other code.")
    ] = False,
) -> None:
    """Train again what a run has trained, and say which figures differ."""
    load_backend()
    from tiledseg.reproduction import (  # noqa: PLC0415  # loads TensorFlow
        TOLERANCE,
        reproduce_in_checkout,
    )
    from tiledseg.reproduction import reproduce as train_again  # noqa: PLC0415
    from tiledseg.training.stopping import stop_on_signals  # noqa: PLC0415

    code = None if with_this_code else reproduce_in_checkout(run)
    if code is not None:
        raise typer.Exit(code)
    with stop_on_signals() as stop:
        try:
            with ConsoleObserver() as observer:
                done = train_again(run, [observer], with_this_code=with_this_code, stop=stop)
        except StoppedError:
            show_line("stopped     nothing was compared")
            show_line(f"next        tiledseg reproduce {run}")
            raise SystemExit(128 + stop.signal) from None
    show_line(f"reproduces  {done.reproduces}")
    if not done.differences:
        show_line(f"same        all {done.compared} figures, to {TOLERANCE:g}")
        return
    _show_differences(done)
    largest = max(done.differences, key=lambda each: each.size)
    where = f" of epoch {largest.epoch}" if largest.epoch else ""
    show_error(
        f"{len(done.differences)} of {done.compared} figures of run {done.reproduces} differ in "
        f"run {done.run_id}, most {largest.figure}{where}, by {largest.size:.3g}"
    )
    raise typer.Exit(1)


def _show_differences(done: "Reproduction") -> None:
    table = Table(title="figures that differ", title_justify="left")
    table.add_column("figure")
    for name in ("epoch", "first", "again", "difference"):
        table.add_column(name, justify="right")
    for each in done.differences[:_MOST_ROWS]:
        values = [
            "none" if value is None else f"{value:.8g}" for value in (each.first, each.second)
        ]
        table.add_row(each.figure, str(each.epoch or ""), *values, f"{each.size:.3g}")
    console.print(table)
    if len(done.differences) > _MOST_ROWS:
        show_line(f"and {len(done.differences) - _MOST_ROWS} more")
    for reason in done.reasons:
        show_line(f"may be      {reason}")
