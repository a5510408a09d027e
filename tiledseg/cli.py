"""Verbs of the command line: read arguments, call one function, show the result."""

import re
import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from tiledseg import __version__
from tiledseg.backend import load_backend
from tiledseg.console import ConsoleObserver, show_line, show_prediction, show_scores
from tiledseg.errors import ExperimentError
from tiledseg.experiment import (
    Experiment,
    available_experiments,
    find_experiment,
    load_experiment,
    parse_experiment,
)
from tiledseg.legacy import SUFFIXES, ImportedConfig, import_config, write_experiments

app = typer.Typer(
    help="Tiled semantic segmentation of very large images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DatasetName = Annotated[str, typer.Option("--dataset", help="Name of a YAML in experiments/.")]
ExperimentFile = Annotated[
    str, typer.Option("--experiment", help="An experiment YAML, or a .config.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be repeated."),
]
ModelUri = Annotated[
    str,
    typer.Option(
        "--model", help="models:/NAME@champion, runs:/ID/model, a folder, or a dataset's name."
    ),
]


def _experiments_folder() -> Path:
    """./experiments, or that of the source tree which this package lies in."""
    here = Path("experiments")
    return here if here.is_dir() else Path(__file__).resolve().parents[1] / "experiments"


def _chosen_experiment(dataset: str, file: str, overrides: list[str] | None) -> Experiment:
    settings = _split_overrides(overrides)
    if not dataset and not file:
        known = ", ".join(available_experiments(_experiments_folder()))
        raise ExperimentError(f"name a dataset (--dataset NAME) or a file; known: {known}")
    path = Path(file) if file else find_experiment(dataset, _experiments_folder())
    if path.suffix.lower() in SUFFIXES:
        config = import_config(path)
        experiment = parse_experiment(config.text, str(path), settings)
        _show_import(config, str(path))
    else:
        experiment = load_experiment(path, settings)
    if dataset and experiment.dataset.name != dataset:
        raise ExperimentError(
            f"{path}: dataset.name is {experiment.dataset.name!r}, not {dataset!r}; "
            "give --dataset or --experiment, not both"
        )
    return experiment


def _split_overrides(overrides: list[str] | None) -> list[str]:
    return [setting for text in overrides or [] for setting in _split_settings(text)]


def _split_settings(text: str) -> list[str]:
    """``a.b=1 c.d=2`` in one text, as ``mlflow run -P set=...`` passes it, or one setting."""
    try:
        parts = shlex.split(text)
    except ValueError:
        return [text]
    return parts if all(re.match(r"[\w.]+=", part) for part in parts) else [text]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Tiled semantic segmentation of very large images."""
    if show:
        show_line(f"tiledseg {__version__}")
        raise typer.Exit


@app.command(epilog="Example: tiledseg train --dataset Tiled-Cell --set training.epochs=3")
def train(
    dataset: DatasetName = "",
    experiment: ExperimentFile = "",
    set_: Overrides = None,
    resume: Annotated[str, typer.Option(help="Id of an interrupted run to go on with.")] = "",
) -> None:
    """Train, evaluate tiled beside whole, log to MLflow, register."""
    load_backend()
    from tiledseg.tracking.runs import read_experiment  # noqa: PLC0415  # loads TensorFlow

    chosen = read_experiment(resume) if resume else _chosen_experiment(dataset, experiment, set_)
    _train(chosen, resume or None)


@app.command(epilog="Example: tiledseg evaluate --model Tiled-Cell --dataset Tiled-Cell")
def evaluate(
    model: ModelUri,
    dataset: DatasetName = "",
    experiment: ExperimentFile = "",
    split: Annotated[str, typer.Option(help="train, valid, test; all but train if absent.")] = "",
) -> None:
    """Score a model on a dataset, tiled beside whole, image by image."""
    load_backend()
    from tiledseg.pipeline import EVALUATED_SPLITS  # noqa: PLC0415
    from tiledseg.pipeline import evaluate as run_evaluation  # noqa: PLC0415
    from tiledseg.tracking.registry import load_predictor  # noqa: PLC0415

    chosen = _chosen_experiment(dataset, experiment, None)
    predictor = load_predictor(model)
    merged = predictor.experiment.model_copy(update={"dataset": chosen.dataset})
    splits = (split,) if split else EVALUATED_SPLITS
    with ConsoleObserver() as observer:
        result = run_evaluation(predictor, merged, splits, [observer])
    show_scores(result.metrics)
    _show_where_to_look(result.run_id)


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
    """Write a mask (PNG, 0 or 255) for every image."""
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


@app.command(epilog="Example: tiledseg prepare --dataset Synthetic-Cell")
def prepare(dataset: DatasetName = "", experiment: ExperimentFile = "") -> None:
    """Draw a synthetic dataset, check every file, and fill the cache of decoded images."""
    load_backend()
    from tiledseg.pipeline import prepare as run_preparation  # noqa: PLC0415

    chosen = _chosen_experiment(dataset, experiment, None)
    with ConsoleObserver() as observer:
        found = run_preparation(chosen, [observer])
    show_line(f"sound       {found.folder}")


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
    from tiledseg.check_screen import reading_progress, show_report  # noqa: PLC0415
    from tiledseg.checking.check import check_folder  # noqa: PLC0415
    from tiledseg.checking.preview import require_new_png, write_preview  # noqa: PLC0415
    from tiledseg.checking.report_files import (  # noqa: PLC0415
        require_writable,
        write_html,
        write_json,
    )
    from tiledseg.checking.target import find_target, network_halo  # noqa: PLC0415

    for path in (html, json):
        if path is not None:
            require_writable(path, overwrite=overwrite)
    if preview is not None:
        require_new_png(preview, overwrite=overwrite)
    folder, chosen = find_target(dataset, experiment, _split_overrides(set_), _experiments_folder())
    with reading_progress() as progress:
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
    if not report.sound:
        raise typer.Exit(1)


@app.command(epilog="Example: tiledseg datasets")
def datasets() -> None:
    """List the experiments and whether their images are on disk."""
    from tiledseg.data.dataset import data_root  # noqa: PLC0415

    folder, root = _experiments_folder(), data_root()
    for name in available_experiments(folder):
        settings = load_experiment(folder / f"{name}.yaml").dataset
        present = (root / settings.name).is_dir()
        state = "on disk" if present else "drawn on first use" if settings.synthetic else "absent"
        show_line(f"{name:<24} {state:<20} {settings.description}")
    show_line(f"data root: {root.resolve()}")


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
        _show_import(config, f"{path}  from {config.source}")
    if faults:
        raise ExperimentError("; ".join(faults))


@app.command(epilog="Example: tiledseg sweep --dataset Tiled-Cell --trials 40 --trial-minutes 4")
def sweep(
    dataset: DatasetName = "",
    experiment: ExperimentFile = "",
    set_: Overrides = None,
    trials: Annotated[
        int, typer.Option(help="Trials of the study; 0: 20, or as many as fit into --hours.")
    ] = 0,
    hours: Annotated[float, typer.Option(help="After so long no trial begins; 0: no limit.")] = 0.0,
    space: Annotated[
        str, typer.Option(help="Search space: a YAML, or the name of one in experiments/sweeps/.")
    ] = "default",
    storage: Annotated[
        str,
        typer.Option(
            help="sqlite:///FILE or postgresql://...; by default TILEDSEG_STORAGE or ./sweeps.db."
        ),
    ] = "",
    study: Annotated[str, typer.Option(help="Name; by default dataset and search space.")] = "",
    workers: Annotated[int, typer.Option(help="Trials side by side on this machine.")] = 1,
    trial_minutes: Annotated[
        float, typer.Option(help="Minutes of training in a trial; 0: the experiment's.")
    ] = 0.0,
    trial_epochs: Annotated[int, typer.Option(help="Epochs of a trial; 0: the experiment's.")] = 0,
    trial_timeout: Annotated[
        float, typer.Option(help="Minutes until a trial is killed; 0: from its minutes.")
    ] = 0.0,
    trial_memory: Annotated[
        float, typer.Option(help="GB at which a trial is killed; 0: from this machine's.")
    ] = 0.0,
    sampler: Annotated[str, typer.Option(help="tpe, nsga2, random, grid, gp or cmaes.")] = "tpe",
    pruner: Annotated[
        str, typer.Option(help="asha, hyperband, median or none; by default asha.")
    ] = "",
    objective: Annotated[
        list[str] | None, typer.Option(help="A metric; several give a Pareto front.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sampler.")] = 137,
    retrain: Annotated[
        Literal["yes", "no"], typer.Option(help="Train the best in full, and register it.")
    ] = "no",
) -> None:
    """Search for better settings; the same command goes on, and shares the study."""
    from tiledseg.sweep_screen import SweepScreen, show_study  # noqa: PLC0415
    from tiledseg.tuning.objectives import DEFAULT_OBJECTIVE  # noqa: PLC0415
    from tiledseg.tuning.options import SweepOptions  # noqa: PLC0415
    from tiledseg.tuning.space import load_space  # noqa: PLC0415
    from tiledseg.tuning.sweep import sweep as run_sweep  # noqa: PLC0415

    chosen = _chosen_experiment(dataset, experiment, set_)
    named = _experiments_folder() / "sweeps" / f"{space}.yaml"
    objectives = [name for text in objective or [] for name in text.replace(",", " ").split()]
    options = SweepOptions(
        study=study,
        storage=storage,
        trials=trials,
        hours=hours,
        workers=workers,
        sampler=sampler,
        pruner=pruner,
        objectives=tuple(objectives or [DEFAULT_OBJECTIVE]),
        seed=seed,
        trial_minutes=trial_minutes,
        trial_epochs=trial_epochs,
        trial_timeout=trial_timeout,
        trial_memory=trial_memory,
    )
    searched = load_space(named if named.is_file() else Path(space))
    with SweepScreen() as screen:
        result = run_sweep(chosen, searched, options, screen, export_to=_experiments_folder())
    show_study(result)
    _show_where_to_look(result.run_id)
    if retrain == "yes" and result.experiment is not None:
        _train(result.experiment)


@app.command(epilog="Example: tiledseg dashboard --port 8501")
def dashboard(
    port: Annotated[int, typer.Option(help="Port of the page.")] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 127.0.0.1: from this machine alone.")
    ] = "127.0.0.1",
) -> None:
    """Look at runs and masks in a browser."""
    from dashboards.app import serve  # noqa: PLC0415  # loads Streamlit

    serve(host, port)


def _suggest(folder: str) -> None:
    """Print the dataset section that reads a folder as it is."""
    from tiledseg.checking.suggestion import suggest_section  # noqa: PLC0415
    from tiledseg.checking.target import fitting_name, named_folder  # noqa: PLC0415

    path = named_folder(folder)
    suggestion = suggest_section(path, fitting_name(path.resolve().name))
    show_line(f"# {suggestion.told}")
    show_line(suggestion.section)


def _train(experiment: Experiment, resume: str | None = None) -> None:
    """Train, and show what came of it."""
    load_backend()
    from tiledseg.pipeline import train as run_training  # noqa: PLC0415

    with ConsoleObserver() as observer:
        result = run_training(experiment, [observer], resume=resume)
    show_scores(result.metrics)
    _show_where_to_look(result.run_id)
    if result.registration:
        name, version_ = result.registration.name, result.registration.version
        alias = "champion" if result.registration.is_champion else "latest-trained"
        show_line(f"registered  {name} version {version_}, alias {alias}")
        model = f"models:/{name}@{alias}"
        show_line(f"next        tiledseg predict --model {model} --images FOLDER --output masks")


def _show_import(config: ImportedConfig, label: str) -> None:
    show_line(
        f"{label}: {config.count('unavailable')} keys not available, "
        f"{config.count('unreadable')} unreadable, {config.count('ignored')} without an effect"
    )
    for note in config.notes:
        if note.kind != "ignored":
            show_line(
                f"  line {note.entry.line}, {note.entry.key or note.entry.text}: {note.words}"
            )


def _show_where_to_look(run_id: str) -> None:
    from tiledseg.tracking.store import page_command  # noqa: PLC0415

    show_line(f"run         {run_id}")
    show_line(f"look        {page_command()}")
