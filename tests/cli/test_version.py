from typer.testing import CliRunner

from tiledseg import __version__
from tiledseg.cli import app


def test_the_version_is_shown():
    shown = CliRunner().invoke(app, ["--version"]).output
    assert shown.strip() == f"tiledseg {__version__}"
