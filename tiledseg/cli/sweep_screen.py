"""Shows a sweep on the command line: trials while it runs, the best when it is done."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tiledseg.cli.console import console, show_line
from tiledseg.config.durations import format_duration

if TYPE_CHECKING:
    from tiledseg.tuning.results.progress import StudyProgress, TrialRow
    from tiledseg.tuning.results.report import StudyResult

_COLORS = {
    "complete": "green",
    "running": "yellow",
    "waiting": "dim",
    "pruned": "dim",
    "infeasible": "dim",
}
_ORIGINS = {"experiment": "(own settings)", "source": "(source experiment)"}
_ABOVE_AND_BELOW = 8
"""Lines of the screen that are not rows of the table."""


class SweepScreen:
    """Shows a sweep; use it as a context manager.

    On a terminal a table of trials is kept up to date; elsewhere every finished trial is a line.
    """

    def __init__(self) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._shown: set[int] = set()
        self._last: StudyProgress | None = None

    def __enter__(self) -> Self:
        if console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if console.is_terminal:
            self._live.stop()
            if self._last is not None:
                console.print(_make_table(self._last, most=len(self._last.rows)))
        if kind in (KeyboardInterrupt, SystemExit):
            show_line("stopped     nothing is lost: the same command goes on")

    def on_study(self, name: str, storage: str, run_id: str) -> None:
        """Name the study, its storage and its run; the dataset is checked next."""
        show_line(f"study       {name}")
        show_line(f"storage     {storage}")
        show_line(f"run         {run_id}")
        if console.is_terminal:
            self._live.update(Text("checking the dataset"), refresh=True)

    def on_progress(self, progress: "StudyProgress") -> None:
        """Draw the table, or print a line for every trial that has ended."""
        began, self._last = self._last is None, progress
        if console.is_terminal:
            most = max(4, console.height - _ABOVE_AND_BELOW)
            self._live.update(
                Group(_make_table(progress, most), _summarize(progress)), refresh=True
            )
            return
        ended = [row for row in progress.rows if row.state not in ("running", "waiting")]
        if began and ended:
            self._shown.update(row.number for row in ended)
            show_line(f"earlier     {_summarize(progress).plain}")
        for row in ended:
            if row.number not in self._shown:
                self._shown.add(row.number)
                show_line(f"{_format_row(row)}  {_summarize(progress).plain}")


def show_study(result: "StudyResult") -> None:
    """Show the best of a study, and the next command."""
    progress = result.progress
    states = [row.state for row in progress.rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    show_line(f"trials      {counts or 'none'}")
    if result.best is None:
        show_line("best        none: no trial is complete and within the limits")
        return
    show_line(f"best        trial {result.best.number}: {_format_scores(result, result.best)}")
    if progress.own_trial is not None:
        show_line(f"trial 0     {_format_scores(result, progress.own_trial)}")
    if len(progress.best) > 1:
        for row in progress.best:
            show_line(f"front       trial {row.number}: {_format_scores(result, row)}")
    show_line(f"settings    {_format_settings(result.best.params)}")
    if result.file is None:
        show_line(f"experiment  {result.write_error}")
        return
    show_line(f"experiment  {result.file}")
    show_line(f"next        tiledseg train --experiment {result.file}")


def _make_table(progress: "StudyProgress", most: int) -> Table:
    """The latest trials; settings that are the same everywhere are left out."""
    rows = progress.rows[-most:]
    keys = list(dict.fromkeys(key for row in progress.rows for key in row.params))
    varying = [key for key in keys if len({str(r.params.get(key)) for r in progress.rows}) > 1]
    table = Table(box=None, pad_edge=False)
    for name in ("trial", "state", "value", "epochs", "time"):
        table.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
    for key in varying:
        table.add_column(key.rpartition(".")[2], justify="right", overflow="fold")
    for row in rows:
        mark = "*" if row.is_best else " "
        table.add_row(
            f"{row.number}{mark}",
            Text(f"{row.state} {_ORIGINS.get(row.origin, '')}", _COLORS.get(row.state, "red")),
            _format_values(row),
            str(row.epochs),
            format_duration(row.seconds, missing=""),
            *(_format_value(row.params.get(key, "")) for key in varying),
        )
    return table


def _summarize(progress: "StudyProgress") -> Text:
    wanted = "" if progress.wanted is None else f"/{progress.wanted}"
    parts = [f"{progress.finished_count}{wanted} trials"]
    if progress.best:
        parts.append(f"best {_format_values(progress.best[0])} (trial {progress.best[0].number})")
    parts.append(f"{format_duration(progress.elapsed)} gone")
    if progress.remaining is not None:
        parts.append(f"about {format_duration(progress.remaining)} left")
    return Text(", ".join(parts))


def _format_row(row: "TrialRow") -> str:
    tail = f"  {row.reason}" if row.reason else ""
    values = (
        f"trial {row.number:>3} {row.state:<12} {_format_values(row):<8} {row.epochs:>3} epochs"
    )
    took = format_duration(row.seconds, missing="")
    return f"{values}  {took}  {_format_settings(row.params)}{tail}"


def _format_scores(result: "StudyResult", row: "TrialRow") -> str:
    pairs = zip(result.objectives, row.values, strict=True)
    return ", ".join(f"{name} {value:.4f}" for name, value in pairs)


def _format_settings(params: Mapping[str, Any]) -> str:
    return " ".join(
        f"{key.rpartition('.')[2]}={_format_value(value)}" for key, value in params.items()
    )


def _format_values(row: "TrialRow") -> str:
    return " ".join(f"{value:.4f}" for value in row.values)


def _format_value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
