"""The commands ``train`` and ``evaluate``."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tiledseg.backend import load_backend
from tiledseg.cli.app import app
from tiledseg.cli.arguments import (
    DatasetName,
    ExperimentFile,
    ModelUri,
    Overrides,
    choose_experiment,
    split_overrides,
)
from tiledseg.cli.console import ConsoleObserver, show_line, show_scores
from tiledseg.cli.sync import send_leftovers, show_sent
from tiledseg.config.experiment import Experiment
from tiledseg.errors import ExperimentError, StoppedError

if TYPE_CHECKING:
    from tiledseg.pipeline import TrainingResult
    from tiledseg.tracking.resuming import Resumption

Offline = Annotated[
    bool,
    typer.Option(
        "--offline", help="Keep all of the run on this machine; `tiledseg sync` sends it later."
    ),
]


@app.command(epilog="Example: tiledseg train --dataset Tiled-Cell --set training.epochs=3")
def train(
    dataset: DatasetName = "",
    experiment: ExperimentFile = "",
    set_: Overrides = None,
    resume: Annotated[
        str,
        typer.Option(
            help="Id of a run to go on with, on any machine that reaches the store; with "
            "--dataset, 'last' is its newest run that was stopped."
        ),
    ] = "",
    offline: Offline = False,
) -> None:
    """Train, evaluate tiled beside whole, log to MLflow, register."""
    load_backend()
    from tiledseg.tracking.resuming import LAST, find_last  # noqa: PLC0415  # loads TensorFlow

    if not offline:
        send_leftovers()
    if not resume:
        train_and_show(choose_experiment(dataset, experiment, set_), offline=offline)
        return
    is_last = resume == LAST
    given = {"--dataset": dataset and not is_last, "--experiment": experiment}
    if any(given.values()):
        raise ExperimentError(
            f"--resume {resume} goes on with the settings of that run; leave out "
            f"{' and '.join(name for name, value in given.items() if value)}, or start a new "
            "training without --resume"
        )
    if is_last and not dataset:
        raise ExperimentError("--resume last needs --dataset NAME: the last run of which dataset?")
    if is_last and offline:
        raise ExperimentError("--resume last asks the store; beside --offline, name the run's id")
    plan = _plan(find_last(dataset) if is_last else resume, split_overrides(set_), offline=offline)
    train_and_show(plan.experiment, plan.run_id, plan.parent, offline=offline)


def _plan(run_id: str, changes: Sequence[str], *, offline: bool) -> "Resumption":
    """How a run is resumed; one that was begun offline is sent to the store first."""
    from tiledseg.tracking.offline import is_offline  # noqa: PLC0415  # loads TensorFlow
    from tiledseg.tracking.resuming import (  # noqa: PLC0415
        plan_offline_resumption,
        plan_resumption,
    )
    from tiledseg.tracking.syncing import sync_run  # noqa: PLC0415

    if offline:
        return plan_offline_resumption(run_id, changes)
    if is_offline(run_id):
        sent = sync_run(run_id)
        show_sent(run_id, sent)
        run_id = sent.run_id
    return plan_resumption(run_id, changes)


@app.command(epilog="Example: tiledseg evaluate --model Tiled-Cell --dataset Tiled-Cell")
def evaluate(
    model: ModelUri,
    dataset: DatasetName = "",
    experiment: ExperimentFile = "",
    split: Annotated[str, typer.Option(help="train, valid, test; all but train if absent.")] = "",
    offline: Offline = False,
) -> None:
    """Score a model on a dataset, tiled beside resized, image by image."""
    load_backend()
    from tiledseg.pipeline import EVALUATED_SPLITS  # noqa: PLC0415
    from tiledseg.pipeline import evaluate as run_evaluation  # noqa: PLC0415
    from tiledseg.tracking.registry import load_predictor  # noqa: PLC0415

    chosen = choose_experiment(dataset, experiment, None)
    if not offline:
        send_leftovers()
    predictor = load_predictor(model)
    merged = predictor.experiment.override({"dataset": chosen.compact()["dataset"]})
    splits = (split,) if split else EVALUATED_SPLITS
    with ConsoleObserver() as observer:
        result = run_evaluation(predictor, merged, splits, [observer], offline=offline)
    show_scores(result.metrics)
    show_run(result.run_id)


def train_and_show(
    experiment: Experiment, resume: str | None = None, parent: str = "", *, offline: bool = False
) -> "TrainingResult":
    """Train, and show what came of it; see ``pipeline.train``."""
    load_backend()
    from tiledseg.pipeline import train as run_training  # noqa: PLC0415
    from tiledseg.training.stopping import stop_on_signals  # noqa: PLC0415

    observer = ConsoleObserver()
    with stop_on_signals() as stop:
        try:
            with observer:
                result = run_training(
                    experiment,
                    [observer],
                    resume=resume,
                    parent=parent,
                    stop=stop,
                    offline=offline,
                )
        except StoppedError as error:
            show_line(f"stopped     {error}")
            word = " --offline" if offline else ""
            show_line(f"next        tiledseg train --resume {observer.run_id}{word}")
            raise SystemExit(128 + stop.signal) from None
    show_scores(result.metrics)
    show_run(result.run_id)
    if result.registration:
        name, version_ = result.registration.name, result.registration.version
        alias = "champion" if result.registration.is_champion else "latest-trained"
        show_line(f"registered  {name} version {version_}, alias {alias}")
        model = f"models:/{name}@{alias}"
        show_line(f"next        tiledseg predict --model {model} --images FOLDER --output masks")
    if result.model_folder:
        folder = shlex.quote(str(result.model_folder))
        show_line(f"use         tiledseg predict --model {folder} --images FOLDER --output masks")
    return result


def show_run(run_id: str) -> None:
    """Name the run, and the command that opens its page, or sends it to the store."""
    from tiledseg.tracking.offline import is_offline  # noqa: PLC0415
    from tiledseg.tracking.store import page_command  # noqa: PLC0415

    show_line(f"run         {run_id}")
    if is_offline(run_id):
        show_line(f"next        tiledseg sync {run_id}")
    else:
        show_line(f"look        {page_command()}")
