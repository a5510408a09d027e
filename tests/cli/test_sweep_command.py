from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.errors import SweepError


def test_a_search_space_that_does_not_exist_is_answered_with_those_that_do():
    done = CliRunner().invoke(app, ["sweep", "--dataset", "Synthetic-Cell", "--space", "fien"])
    assert isinstance(done.exception, SweepError)
    assert "fien.yaml: no such search space" in str(done.exception)
    assert "fine.yaml" in str(done.exception)
