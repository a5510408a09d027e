"""docs/datasets.md names every way of cutting and every published dataset."""

from pathlib import Path

from typer.main import get_command

from tiledseg.cli import app
from tiledseg.data.published.catalog import CATALOG

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "datasets.md").read_text()
OF_EVERY_VERB = {"--dataset", "--experiment", "--set", "--help", "-h", "--seed"}


def test_every_option_of_prepare_is_explained():
    options = {
        name for option in get_command(app).commands["prepare"].params for name in option.opts
    }
    assert len(options) > 8
    assert {name for name in options - OF_EVERY_VERB if f"{name} " not in PAGE} == set()


def test_every_published_dataset_is_explained():
    assert {dataset.name for dataset in CATALOG if f"| `{dataset.name}` |" not in PAGE} == set()
