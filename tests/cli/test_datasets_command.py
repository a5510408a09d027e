from pathlib import Path

from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.cli.console import show_line


def test_datasets_say_what_is_on_disk(tiny_dataset, tiny_experiment, tmp_path, capsys):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "Tiny.yaml").write_text(tiny_experiment().to_yaml())
    runner = CliRunner()
    assert "absent" in runner.invoke(app, ["datasets"]).output
    folder: Path = tiny_dataset()
    shown = runner.invoke(app, ["datasets"]).output
    assert "on disk" in shown
    assert str(folder.parent) in shown
    show_line("still whole")
    assert capsys.readouterr().out == "still whole\n"
