"""The command ``prepare``: checks a dataset, or cuts it into a new one."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tiledseg.backend import load_backend
from tiledseg.cli.app import app
from tiledseg.cli.arguments import (
    DatasetName,
    ExperimentFile,
    Overrides,
    choose_experiment,
    typed_command,
)
from tiledseg.cli.console import ConsoleObserver, counting_progress, show_line
from tiledseg.config.experiment import Experiment
from tiledseg.config.strict_yaml import to_yaml
from tiledseg.data.prepare.spec import PreparationSpec
from tiledseg.errors import ExperimentError, OutputError
from tiledseg.images.atomic import atomic_file


@app.command(
    epilog="Example: tiledseg prepare --dataset Synthetic-Cell --into Cell-Tiles "
    "--tile 512 --overlap 64 --empty 0.1 --reduce 512 --uncut test"
)
def prepare(
    dataset: DatasetName = "",
    experiment: ExperimentFile = "",
    set_: Overrides = None,
    into: Annotated[str, typer.Option(help="Cut into a new dataset of this name.")] = "",
    tile: Annotated[int, typer.Option(help="Tiles of this side, in pixels.")] = 0,
    overlap: Annotated[int, typer.Option(help="Pixels that neighboring tiles share.")] = 0,
    empty: Annotated[
        float, typer.Option(help="Share of train's tiles without foreground that stays.")
    ] = 1.0,
    reduce: Annotated[int, typer.Option(help="Whole images too, reduced to this longer side.")] = 0,
    objects: Annotated[int, typer.Option(help="Crops of this side around each object.")] = 0,
    enlarge: Annotated[
        int, typer.Option(help="Enlarge images to this longer side first (4K: 4096).")
    ] = 0,
    augment: Annotated[int, typer.Option(help="Changed copies beside each file of train.")] = 0,
    uncut: Annotated[str, typer.Option(help="Splits that stay whole: test, or valid,test.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of what is drawn.")] = 137,
) -> None:
    """Check a dataset and fill the cache; with --into, cut it into a new dataset.

    Tiles, reduced images and crops may be mixed. The same command again goes on where an
    earlier one was broken off; nothing is overwritten.
    """
    chosen = choose_experiment(dataset, experiment, set_)
    if into:
        splits = tuple(uncut.replace(",", " ").split())
        spec = PreparationSpec(
            tile, overlap, empty, reduce, objects, enlarge, augment, splits, seed
        )
        _cut(chosen, into, spec)
        return
    if tile or overlap or empty != 1.0 or reduce or objects or enlarge or augment or uncut:
        raise ExperimentError("cutting needs a name for the new dataset; add --into NAME")
    load_backend()
    from tiledseg.pipeline import prepare as run_preparation  # noqa: PLC0415

    with ConsoleObserver() as observer:
        found = run_preparation(chosen, [observer])
    show_line(f"sound       {found.folder}")


def _cut(chosen: Experiment, into: str, spec: PreparationSpec) -> None:
    from tiledseg.data.dataset import data_root  # noqa: PLC0415
    from tiledseg.data.prepare.prepare import prepare_dataset  # noqa: PLC0415
    from tiledseg.data.prepare.statistics import PICTURE, TABLE, statistics_of  # noqa: PLC0415

    with counting_progress("cutting") as progress:
        prepared = prepare_dataset(chosen, data_root(), into, spec, progress, typed_command())
    table = statistics_of(prepared.manifest)
    for row in table[table["kind"] == "all"].to_dict("records"):
        show_line(
            f"{row['split']:<11} {row['files']} files from {row['sources']} images, "
            f"{100 * row['foreground']:.2f} % foreground, {row['empty']} empty"
        )
    show_line(f"dataset     {prepared.folder}")
    show_line(f"statistics  {prepared.folder / TABLE}, {prepared.folder / PICTURE}")
    _keep_experiment(prepared.experiment, spec)


def _keep_experiment(experiment: Experiment, spec: PreparationSpec) -> None:
    """Write the experiment of a new dataset beside the others, or show its section."""
    folder, name = Path("experiments"), experiment.dataset.name
    if not folder.is_dir():
        show_line(f"an experiment for it begins with\n\ndataset:\n  name: {name}")
        return
    path = folder / f"{name}.yaml"
    text = f"# Cut from another dataset: {spec}.\n" + to_yaml(experiment.compact())
    try:
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            show_line(f"experiment  {path} was there already, and stays as it is")
            return
        with suppress(FileExistsError), atomic_file(path, replace=False) as file:
            file.write(text.encode())
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror})") from None
    show_line(f"experiment  {path}")
