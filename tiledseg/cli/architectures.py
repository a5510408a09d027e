"""The command ``architectures``: the networks there are."""

from tiledseg.cli.app import app
from tiledseg.cli.console import show_line
from tiledseg.config.architectures import ARCHITECTURES


@app.command(epilog="Example: tiledseg architectures")
def architectures() -> None:
    """List the networks: weights, stride and halo with default settings, and their papers."""
    show_line(f"{'model.architecture':<18} {'weights':>11} {'stride':>7} {'halo':>6}  tiles")
    for name, known in ARCHITECTURES.items():
        halo = "-" if known.halo is None else f"{known.halo} px"
        tiles = "not exact" if known.halo is None else "exact"
        reason = f" ({known.remark})" if known.remark else ""
        show_line(
            f"{name:<18} {known.parameters:>11,} {known.stride:>4} px {halo:>7}  {tiles}{reason}"
        )
        show_line(f"    {known.paper}")
    show_line("with default settings and three channels; see docs/architectures.md")
