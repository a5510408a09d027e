"""A sweep: joins the study, runs workers until it has its trials, and closes it."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState
from sqlalchemy.engine import URL

from tiledseg.config.experiment import Experiment
from tiledseg.errors import DatasetError, SweepError
from tiledseg.tracking import sweeps
from tiledseg.tracking.names import (
    EXPERIMENT_FILE,
    HOURS_TAG,
    PRUNER_TAG,
    SAMPLER_TAG,
    SEED_TAG,
    WANTED_TAG,
)
from tiledseg.training.stopping import stop_on_signals
from tiledseg.tuning.execution import retries
from tiledseg.tuning.execution.resources import memory_per_worker
from tiledseg.tuning.execution.trial_process import COMMAND, TrialLimits, TrialProcess
from tiledseg.tuning.execution.worker_options import make_worker_options
from tiledseg.tuning.execution.worker_pool import WorkerPool
from tiledseg.tuning.options import SweepOptions
from tiledseg.tuning.results.progress import StudyProgress, read_progress
from tiledseg.tuning.results.report import StudyResult, close_study
from tiledseg.tuning.search.space import SearchSpace
from tiledseg.tuning.session import begin_session
from tiledseg.tuning.study.definition import StudyDefinition, define_study
from tiledseg.tuning.study.storage import (
    StudyLock,
    check_url,
    default_storage,
    open_storage,
    storage_errors,
)
from tiledseg.tuning.study.study import join_study, study_id

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_PREPARE_SECONDS = 6 * 3600.0


class SweepObserver(Protocol):
    """Listens to a sweep."""

    def on_study(self, name: str, storage: str, run_id: str) -> None:
        """Called once, when the study and its MLflow run exist."""

    def on_progress(self, progress: StudyProgress) -> None:
        """Called about once a second."""


def sweep(
    experiment: Experiment,
    space: SearchSpace,
    options: SweepOptions,
    observer: SweepObserver,
    *,
    root: Path | None = None,
    export_to: Path = Path("experiments"),
    command: tuple[str, ...] = COMMAND,
) -> StudyResult:
    """Search for better settings of an experiment.

    The same call again continues the study. Calls on several machines share it where they have
    one storage and one tracking server.

    Args:
        experiment: Where the search starts from; its own settings are trial 0.
        space: What varies.
        options: How it is searched.
        observer: Shows the progress.
        root: Folder of datasets; by default ``TILEDSEG_DATA`` or ./data.
        export_to: Folder for the best experiment.
        command: The program that runs a trial.

    Returns:
        The study when it is done, or when the hours are over.

    Raises:
        SweepError: Space, options and storage do not go together, or cannot be used.
        TiledsegError: Dataset or tracking store cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    dataset = experiment.dataset.name
    options = options.fill_defaults(
        f"{dataset}-{Path(space.source).stem}", default_storage(sweeps.tracking_uri())
    )
    definition = define_study(experiment, space, options)
    url = check_url(options.storage)
    storage, lock = open_storage(url), StudyLock(url, options.study)
    with ExitStack() as stack:
        with storage_errors(url), lock:
            study = join_study(storage, options.study, definition)
            session = begin_session(options, definition, study.get_trials(deepcopy=False))
            run = stack.enter_context(
                sweeps.open_study_run(dataset, options.study, study_id(study))
            )
        observer.on_study(options.study, url.render_as_string(hide_password=True), run.run_id)
        _log_definition(run, definition, options)
        _prepare(definition, root, command)
        workers = make_worker_options(options, definition, session, run.run_id, root, command)
        with (
            stop_on_signals() as stop_request,
            stop_request.deferred(),
            WorkerPool(workers) as worker_pool,
        ):
            while worker_pool.keep_running():
                with _log_storage_errors(url):
                    observer.on_progress(read_progress(study, definition, session))
                stop_request.pause(_POLL_SECONDS)
        with storage_errors(url):
            with lock:
                _end_dead_trials(study, storage, run.run_id)
            progress = read_progress(study, definition, session)
        observer.on_progress(progress)
        result = close_study(study, definition, progress, run, export_to)
        return replace(result, storage=options.storage)


def _log_definition(
    run: sweeps.StudyRun, definition: StudyDefinition, options: SweepOptions
) -> None:
    content = definition.content()
    params = {
        "study.name": options.study,
        "study.objectives": ", ".join(content["objectives"]),
        "study.space": definition.space.source,
    }
    for name, parameter in definition.space.parameters.items():
        fields = parameter.model_dump(exclude_defaults=True)
        params[f"space.{name}"] = ", ".join(f"{key} {value}" for key, value in fields.items())
    run.log_definition(params, {EXPERIMENT_FILE: content["experiment"]})
    run.log_tags(
        {
            SAMPLER_TAG: options.sampler,
            PRUNER_TAG: options.pruner,
            SEED_TAG: str(options.seed),
            WANTED_TAG: str(options.trials),
            HOURS_TAG: str(options.hours),
        }
    )


def _prepare(definition: StudyDefinition, root: Path | None, command: tuple[str, ...]) -> None:
    """Check dataset and objectives and fill the cache, before workers do it all at once.

    Raises:
        DatasetError: The dataset is not sound, or no trial would have an objective.
    """
    request = {
        "do": "prepare",
        "experiment": definition.experiment.to_yaml(),
        "objectives": [objective.metric for objective in definition.objectives],
        "root": str(root.absolute()) if root else None,
    }
    limits = TrialLimits(_PREPARE_SECONDS, memory_per_worker(1))
    process = TrialProcess(request, limits, sweeps.environment_for(None), command)
    outcome = process.run(lambda _: "")
    if outcome.kind != "complete":
        raise DatasetError(outcome.reason)


def _end_dead_trials(study: optuna.Study, storage: Any, parent_run: str) -> None:
    retries.recover_trials(study, storage)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    living = {trial.number for trial in running}
    sweeps.end_dead_runs(parent_run, living, "its worker died")


@contextmanager
def _log_storage_errors(url: URL) -> Iterator[None]:
    """Log errors of the storage while progress is read; workers decide whether to go on."""
    try:
        with storage_errors(url):
            yield
    except SweepError as error:
        logger.warning("%s", error)
