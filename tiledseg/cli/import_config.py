"""The command ``import-config``: configurations of the source program become experiments."""

from pathlib import Path
from typing import Annotated

import typer

from tiledseg.cli.app import app
from tiledseg.cli.arguments import show_import
from tiledseg.errors import ExperimentError
from tiledseg.legacy import import_config, write_experiments


@app.command(
    "import-config",
    epilog="Example: tiledseg import-config train_eval_infer.config --out experiments",
)
def import_configs(
    files: Annotated[list[Path], typer.Argument(help="train_eval_infer.config files.")],
    out: Annotated[Path, typer.Option(help="Folder for the experiments.")] = Path(),
) -> None:
    """Turn configurations of the source program into experiments; nothing is overwritten."""
    configs, faults = [], []
    for file in files:
        try:
            configs.append(import_config(file))
        except ExperimentError as error:
            faults.append(str(error))
    for config, path in zip(configs, write_experiments(configs, out), strict=True):
        show_import(config, f"{path}  from {config.source}")
    if faults:
        raise ExperimentError("; ".join(faults))
