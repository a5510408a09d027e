"""The process of one trial: one training, reported to the worker that started it.

    python -m tiledseg.tuning.execution.trial_main

It knows no Optuna. It reads one request from standard input, answers with events on standard
output, and after every epoch waits for the answer whether to go on. It ends when its worker does.
"""

# ruff: noqa: ARG002 - an observer gets more than this one needs

import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tiledseg.backend import load_backend
from tiledseg.config.experiment import Experiment, parse_experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.integrity import find_classes
from tiledseg.errors import (
    BackendError,
    DatasetError,
    ExperimentError,
    ImageError,
    OutputError,
    SweepError,
    TilingError,
    TrackingError,
    TrainingError,
)
from tiledseg.tuning.execution.channel import Channel
from tiledseg.tuning.search.objectives import parse_objectives, refuse_undefined

if TYPE_CHECKING:
    from tiledseg.data.dataset import Dataset
    from tiledseg.data.integrity import DatasetSummary
    from tiledseg.evaluation.evaluate import ImageEvaluation
    from tiledseg.training.observer import EpochPicture, EpochReport
    from tiledseg.training.session import SavedTraining

OUTCOMES: Mapping[type[Exception], str] = {
    TilingError: "infeasible",
    ExperimentError: "infeasible",
    TrainingError: "diverged",
    SweepError: "infeasible",
    DatasetError: "unavailable",
    ImageError: "unavailable",
    OutputError: "unavailable",
    TrackingError: "unavailable",
    BackendError: "unavailable",
    OSError: "unavailable",
    MemoryError: "memory",
}
"""What an error says about a trial; any other is an ``error``."""
_OUT_OF_MEMORY = ("ResourceExhaustedError", "XlaRuntimeError")
_TRACKING = ("mlflow", "sqlalchemy", "requests")


class TrialReporter:
    """Tells the worker what happens in a training.

    Args:
        channel: To the worker.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.best_epoch: dict[str, float] = {}
        """Metrics of the best epoch so far."""
        self.training_began: float | None = None
        self.evaluation_ended: float | None = None

    def on_run_start(self, run_id: str) -> None:
        """Nothing: the worker made the run."""

    def on_dataset(self, dataset: "Dataset", summary: "DatasetSummary") -> None:
        """Nothing: the sweep checked it before."""

    def on_batch_end(
        self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]
    ) -> None:
        """Nothing: a sweep looks at epochs."""

    def on_epoch_end(self, report: "EpochReport") -> None:
        """Report, and end when the worker says so."""
        if self.training_began is None:
            self.training_began = time.monotonic() - report.elapsed
        metrics = dict(report.metrics)
        if report.is_best:
            self.best_epoch = metrics
        is_last = report.epoch >= report.epochs
        message = {"event": "epoch", "epoch": report.epoch, "is_last": is_last, "metrics": metrics}
        self._channel.send(message)
        answer = self._channel.receive()
        if answer is None or not answer["go_on"]:
            sys.exit()  # the open run is closed as KILLED on the way out

    def on_saved(self, saved: "SavedTraining") -> None:
        """Nothing."""

    def on_epoch_masks(self, picture: "EpochPicture") -> None:
        """Nothing: pictures are for the run."""

    def on_image(self, evaluation: "ImageEvaluation") -> None:
        """Note the time."""
        self.evaluation_ended = time.monotonic()

    @property
    def busy_seconds(self) -> float:
        """From the beginning of training to the end of evaluation."""
        if self.training_began is None or self.evaluation_ended is None:
            return 0.0
        return self.evaluation_ended - self.training_began


def main() -> None:
    """Serve one request."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    channel = Channel.to_parent(on_end=lambda: os._exit(1))
    request = channel.receive()
    if request is None:
        sys.exit(1)
    try:
        channel.send({"event": "ended", **_serve(request, channel)})
    except SystemExit:
        channel.send({"event": "left"})
    except Exception as error:  # noqa: BLE001  # whatever it is, the study must hear of it
        traceback.print_exc()
        channel.send({"event": "failed", **explain_failure(error)})
    _exit()


def explain_failure(error: Exception) -> dict[str, str]:
    """What an error means for a trial: its outcome and the reason."""
    known = [outcome for kind, outcome in OUTCOMES.items() if isinstance(error, kind)]
    name, package = type(error).__name__, type(error).__module__.partition(".")[0]
    if name in _OUT_OF_MEMORY:
        known = ["memory"]
    elif package in _TRACKING:
        known = ["unavailable"]
    outcome = known[0] if known else "error"
    text = " ".join(str(error).split())[:500]
    return {"outcome": outcome, "reason": text if outcome != "error" else f"{name}: {text}"}


def _serve(request: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    load_backend()
    experiment = parse_experiment(request["experiment"], "trial")
    root = Path(request["root"]) if request["root"] else None
    if request["do"] == "prepare":
        return _prepare(experiment, root, request["objectives"])
    return _train(experiment, root, request, channel)


def _prepare(
    experiment: Experiment, root: Path | None, objectives: Sequence[str]
) -> dict[str, Any]:
    from tiledseg.pipeline import prepare  # noqa: PLC0415  # loads TensorFlow
    from tiledseg.training.fit import decide_arithmetic  # noqa: PLC0415

    dataset = prepare(experiment, root=root)
    shown = find_classes(dataset.splits["valid"], experiment, PixelCache())
    refuse_undefined(parse_objectives(objectives), experiment.class_names, shown)
    decide_arithmetic(experiment)  # trials take what is remembered: many networks, little time
    return {"digest": dataset.digest}


def _train(
    experiment: Experiment, root: Path | None, request: Mapping[str, Any], channel: Channel
) -> dict[str, Any]:
    from tiledseg.pipeline import train  # noqa: PLC0415

    parameters = _count_parameters(experiment) if request["count_parameters"] else None
    if parameters is not None:
        channel.send({"event": "built", "parameters": parameters})
        answer = channel.receive()
        if answer is None or not answer["go_on"]:
            sys.exit()
    reporter = TrialReporter(channel)
    result = train(
        experiment, [reporter], root=root, splits=request["splits"], times_arithmetic=False
    )
    return {
        "metrics": {**reporter.best_epoch, **result.metrics},
        "best_epoch": result.best_epoch,
        "busy_seconds": reporter.busy_seconds,
    }


def _count_parameters(experiment: Experiment) -> int:
    from tiledseg.models import build_model  # noqa: PLC0415

    return int(build_model(experiment.model, experiment.image.channels).count_params())


def _exit() -> NoReturn:
    """End at once: nothing is open any more, and TensorFlow would take seconds."""
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
