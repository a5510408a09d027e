"""The commands ``datasets``: list, fetch and convert named datasets."""

from pathlib import Path
from typing import Annotated

import typer

from tiledseg.cli.app import app
from tiledseg.cli.arguments import experiments_folder, typed_command
from tiledseg.cli.console import counting_progress, show_line
from tiledseg.config.experiment import available_experiments, load_experiment

group = typer.Typer(
    help="List datasets and what is on disk; get those that others have published.",
    epilog="Example: tiledseg datasets; tiledseg datasets fetch Tiled-Cell",
)
app.add_typer(group, name="datasets")

Name = Annotated[str, typer.Argument(help="One of those that tiledseg datasets lists.")]


@group.callback(invoke_without_command=True)
def datasets(context: typer.Context) -> None:
    """List datasets and what is on disk; get those that others have published."""
    if context.invoked_subcommand is None:
        _list_datasets()


@group.command(epilog="Example: tiledseg datasets fetch Tiled-Cell")
def fetch(name: Name) -> None:
    """Download a dataset where its license allows, and convert it; broken off, it goes on."""
    from tiledseg.data.dataset import data_root  # noqa: PLC0415
    from tiledseg.data.published.catalog import find_named_dataset  # noqa: PLC0415
    from tiledseg.data.published.convert import fetch_published  # noqa: PLC0415

    dataset = find_named_dataset(name)
    show_line(f"license     {dataset.publication.license}")
    show_line(f"cite        {dataset.publication.citation}")
    with counting_progress("fetching") as progress:
        folder = fetch_published(dataset, data_root(), progress)
    _convert(name, folder)


@group.command(
    epilog="Example: tiledseg datasets convert Tiled-MultipleMyeloma --from TCIA_SegPC_dataset"
)
def convert(
    name: Name,
    given: Annotated[
        Path, typer.Option("--from", help="Folder or ZIP archive as its authors publish it.")
    ],
) -> None:
    """Convert a dataset as it is published; broken off, it goes on; nothing is overwritten."""
    _convert(name, given)


def _convert(name: str, given: Path) -> None:
    from tiledseg.data.dataset import data_root  # noqa: PLC0415
    from tiledseg.data.published.catalog import find_named_dataset  # noqa: PLC0415
    from tiledseg.data.published.convert import convert_published  # noqa: PLC0415

    root = data_root()
    with counting_progress("converting") as progress:
        manifest = convert_published(
            find_named_dataset(name), given, root, progress, command=typed_command()
        )
    for split, part in manifest.groupby("split", sort=False):
        show_line(f"{split:<11} {len(part)} images from {part['source'].nunique()} sources")
    show_line(f"dataset     {root / name}")


def _list_datasets() -> None:
    from tiledseg.data.dataset import data_root  # noqa: PLC0415
    from tiledseg.data.published.catalog import CATALOG, publication_folder  # noqa: PLC0415
    from tiledseg.data.unfinished import is_unfinished  # noqa: PLC0415

    folder, root = experiments_folder(), data_root()
    known = {dataset.name: dataset for dataset in CATALOG}
    for name in dict.fromkeys([*available_experiments(folder), *known]):
        path = folder / f"{name}.yaml"
        settings = load_experiment(path).dataset if path.is_file() else None
        shows = settings.description if settings else known[name].shows
        home = root / (settings.name if settings else name)
        present = home.is_dir()
        drawn = settings is not None and settings.synthetic is not None
        state = "on disk" if present else "drawn on first use" if drawn else "absent"
        state = "unfinished" if is_unfinished(home) else state
        show_line(f"{name:<24} {state:<20} {shows}")
        if name not in known:
            continue
        publication = known[name].publication
        show_line(f"{'':<24} license: {publication.license}")
        if present:
            continue
        if publication.archive is None:
            home = publication_folder(known[name], root)
            show_line(f"{'':<24} get {publication.files} from {publication.page}")
            show_line(f"{'':<24} put it into {home}, and:")
        show_line(f"{'':<24} tiledseg datasets fetch {name}")
    show_line(f"data root: {root.resolve()}")
