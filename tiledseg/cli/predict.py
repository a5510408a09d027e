"""Masks for files."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tiledseg.backend import load_backend
from tiledseg.cli.app import app
from tiledseg.cli.choosing import ModelUri
from tiledseg.console import show_prediction


@app.command(epilog="Example: tiledseg predict --model Tiled-Cell --images slides --output masks")
def predict(
    model: ModelUri,
    images: Annotated[list[Path], typer.Option(help="Image files, folders or patterns.")],
    output: Annotated[Path, typer.Option(help="Folder for the masks.")],
    more: Annotated[list[Path] | None, typer.Argument(hidden=True)] = None,
    mode: Annotated[
        Literal["tiled", "whole"], typer.Option(help="Tile by tile, or resized to the network.")
    ] = "tiled",
    overlay: Annotated[bool, typer.Option(help="Also write the mask on the image.")] = False,
    objects: Annotated[
        bool, typer.Option(help="Also write objects: CSV, GeoJSON outlines, labels.")
    ] = False,
    smallest: Annotated[int, typer.Option(min=0, help="Drop objects of fewer pixels.")] = 0,
    holes: Annotated[int, typer.Option(min=0, help="Fill holes of at most so many pixels.")] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace masks that exist.")] = False,
) -> None:
    """Write a mask (PNG, 0 or 255; of several classes their labels) for every image."""
    load_backend()
    from tiledseg.batch_prediction import find_images, predict_files  # noqa: PLC0415
    from tiledseg.tracking.registry import load_predictor  # noqa: PLC0415

    found = find_images([*images, *(more or [])])
    predictor = load_predictor(model)
    predict_files(
        predictor,
        found,
        output,
        mode=mode,
        with_overlay=overlay,
        with_objects=objects,
        smallest=smallest,
        holes=holes,
        overwrite=overwrite,
        observer=show_prediction,
    )
