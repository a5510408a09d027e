"""The command ``predict``: masks for image files."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tiledseg.backend import load_backend
from tiledseg.cli.app import app
from tiledseg.cli.arguments import ModelUri, split_overrides
from tiledseg.cli.console import PredictionScreen, show_line
from tiledseg.cli.sync import send_leftovers
from tiledseg.config.experiment import parse_experiment
from tiledseg.errors import ExperimentError


@app.command(epilog="Example: tiledseg predict --model Tiled-Cell --images slides --output masks")
def predict(
    model: ModelUri,
    output: Annotated[Path, typer.Option(help="Folder for the masks.")],
    images: Annotated[
        list[Path] | None,
        typer.Option(help="Image files, OME-Zarr folders, folders or patterns."),
    ] = None,
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGES", help="The same as --images.")
    ] = None,
    mode: Annotated[
        Literal[
            "tiled", "resized", "single_pass", "intersection"
        ],  # those of Predictor, which loads slowly
        typer.Option(
            help="Tile by tile; resized to the network; in one pass at full size; or tiled where "
            "resized finds something, too."
        ),
    ] = "tiled",
    picture_format: Annotated[
        Literal["png", "ome-tiff", "ome-zarr"],
        typer.Option("--format", help="Of the masks; the latter two are pyramids."),
    ] = "png",
    content: Annotated[
        Literal["mask", "probability", "instances"],
        typer.Option(help="0 or 255; probability in 8 bits; or a number per object."),
    ] = "mask",
    roi: Annotated[
        Path | None,
        typer.Option(help="Mask of where to look, at any scale; outside is background."),
    ] = None,
    skip_background: Annotated[
        bool, typer.Option(help="Leave tiles of empty glass out, and record which.")
    ] = False,
    runtime: Annotated[
        Literal["keras", "openvino"],
        typer.Option(help="What computes; OpenVINO may be faster on a processor."),
    ] = "keras",
    overlay: Annotated[bool, typer.Option(help="Also write the mask on the image.")] = False,
    objects: Annotated[
        bool, typer.Option(help="Also write objects: CSV, GeoJSON outlines, labels.")
    ] = False,
    min_object_area: Annotated[
        int | None,
        typer.Option(min=0, help="Drop objects of fewer pixels; default: the model's setting."),
    ] = None,
    max_hole_area: Annotated[
        int | None,
        typer.Option(
            min=0, help="Fill holes of at most so many pixels; default: the model's setting."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace masks that exist.")] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            help="Go on with many images: leave those alone whose outputs all exist, whatever "
            "they were made with."
        ),
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="tiling.KEY=VALUE",
            help="Override a setting of the model's tiling section, or image.bit_depth; may be "
            "repeated. --mode wins: "
            "tiling.mode says how --mode tiled goes about it.",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option(help="Say how images would be cut into tiles, and write nothing.")
    ] = False,
) -> None:
    """Write a mask (PNG, 0 or 255; of several classes their labels) for every image.

    Large images are read, predicted and written piece by piece. A large image whose prediction
    was stopped goes on where it was when the same command is given again; for several images
    add --skip-existing, which leaves the finished ones alone.
    """
    wanted = [*(images or []), *(more or [])]
    if not wanted:
        raise typer.BadParameter("give files, folders or patterns", param_hint="--images")
    load_backend()
    from tiledseg.prediction.files import explain_tiles, find_images, predict_files  # noqa: PLC0415
    from tiledseg.prediction.options import PredictionOptions  # noqa: PLC0415
    from tiledseg.tracking.registry import is_model_folder, load_predictor  # noqa: PLC0415

    screen = PredictionScreen()
    settings = _changeable_settings(set_)
    options = PredictionOptions(
        format=picture_format,
        content=content,
        mode=mode,
        interest=roi,
        skip_background=skip_background,
        with_objects=objects,
        min_object_area=min_object_area,
        max_hole_area=max_hole_area,
        overwrite=overwrite,
        skip_existing=skip_existing,
        on_tiles=screen.tiles_finished,
    )
    found = find_images(wanted)
    if not is_model_folder(model):
        send_leftovers()
    predictor = load_predictor(model, runtime=runtime)
    if settings:
        changed = parse_experiment(predictor.experiment.to_yaml(), model, settings)
        predictor = predictor.replace(experiment=changed, runtime=runtime)
    if explain:
        for image in found:
            show_line(explain_tiles(predictor, image))
        return
    with screen:
        done = predict_files(
            predictor, found, output, options, with_overlay=overlay, observer=screen.image_written
        )
    if skip_existing:
        skipped = len(found) - len(done)
        show_line(f"{len(done)} predicted, {skipped} skipped whose outputs all exist")


def _changeable_settings(overrides: list[str] | None) -> list[str]:
    """Overrides one by one; the settings that the network was trained with stay as they are."""
    settings = split_overrides(overrides)
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if not key.startswith("tiling.") and key != "image.bit_depth":
            raise ExperimentError(
                f"--set {setting!r}: expected a setting of the tiling section, for example "
                "tiling.max_tile=1024, or image.bit_depth, which says how many bits of 16 the "
                "images make use of; the others were settled when the model was trained"
            )
    return settings
