"""The command ``dashboard``: pages in a browser."""

from typing import Annotated

import typer

from tiledseg.cli.app import app


@app.command(epilog="Example: tiledseg dashboard --port 8501")
def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 127.0.0.1: from this machine alone.")
    ] = "127.0.0.1",
) -> None:
    """Look at runs and masks in a browser."""
    from dashboards.app import serve  # noqa: PLC0415  # loads Streamlit

    serve(host, port)
