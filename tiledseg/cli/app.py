"""The typer application that commands are added to, and the option --version."""

from typing import Annotated

import typer

from tiledseg import __version__
from tiledseg.cli.console import show_line

app = typer.Typer(
    help="Tiled semantic segmentation of very large images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Tiled semantic segmentation of very large images."""
    if show:
        show_line(f"tiledseg {__version__}")
        raise typer.Exit
