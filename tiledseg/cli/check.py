"""The command ``check``: faults of a dataset."""

from pathlib import Path
from typing import Annotated

import typer

from tiledseg.cli.app import app
from tiledseg.cli.arguments import (
    ExperimentFile,
    Overrides,
    experiments_folder,
    load_file,
    split_overrides,
)
from tiledseg.cli.console import counting_progress, show_line


@app.command(epilog="Example: tiledseg check Tiled-Cell --html report.html")
def check(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset, or its folder.")],
    experiment: ExperimentFile = "",
    set_: Overrides = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with thumbnails.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write all findings as JSON.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace files, whatever they hold.")] = False,
    preview: Annotated[
        Path | None, typer.Option(help="Also write augmented training samples as a PNG.")
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Print the section that reads a folder, and leave.")
    ] = False,
) -> None:
    """Say what is wrong with a dataset; exits with 1 where training would be unsound."""
    if suggest:
        _suggest(dataset)
        return
    from tiledseg.checking.check import check_folder  # noqa: PLC0415
    from tiledseg.checking.preview import require_new_png, write_preview  # noqa: PLC0415
    from tiledseg.checking.report_files import (  # noqa: PLC0415
        require_writable,
        write_html,
        write_json,
    )
    from tiledseg.checking.target import find_target, network_halo  # noqa: PLC0415
    from tiledseg.cli.check_screen import show_report  # noqa: PLC0415

    for path in (html, json):
        if path is not None:
            require_writable(path, overwrite=overwrite)
    if preview is not None:
        require_new_png(preview, overwrite=overwrite)
    settings = split_overrides(set_)
    given = load_file(Path(experiment), settings) if experiment else None
    folder, chosen = find_target(dataset, given, settings, experiments_folder())
    with counting_progress("reading") as progress:
        report = check_folder(folder, chosen, halo=network_halo(chosen), progress=progress)
    show_report(report)
    if html is not None:
        write_html(report, html, overwrite=overwrite)
        show_line(f"page        {html}")
    if json is not None:
        write_json(report, json, overwrite=overwrite)
        show_line(f"findings    {json}")
    if preview is not None:
        write_preview(report, chosen, preview)
        show_line(f"preview     {preview}")
    if not report.is_sound:
        raise typer.Exit(1)


def _suggest(folder: str) -> None:
    """Print the dataset section that reads a folder as it is."""
    from tiledseg.checking.suggestion import suggest_section  # noqa: PLC0415
    from tiledseg.checking.target import resolve_folder, to_dataset_name  # noqa: PLC0415

    path = resolve_folder(folder)
    suggestion = suggest_section(path, to_dataset_name(path.resolve().name))
    show_line(f"# {suggestion.summary}")
    show_line(suggestion.section)
