"""What is sent to the store: how each kind of an outbox's entries gets there.

Every delivery may be made twice, since a kill may come between its arrival and the outbox' note of
it. So nothing is appended: a batch of metrics carries the moments it was measured at (MLflow keeps
one value of a metric, step and moment), files replace files, and models are looked for first.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from tiledseg.tracking import checkpoints, registry
from tiledseg.tracking.names import ERROR_TAG
from tiledseg.tracking.outbox import Entry, Outbox

_MOST_METRICS, _MOST_PARAMS = 1000, 100
"""Of one request."""

Deliver = Callable[[mlflow.MlflowClient, str, Mapping[str, Any], Path], None]


def deliver(client: mlflow.MlflowClient, run_id: str, entry: Entry) -> None:
    """Send one entry.

    Args:
        client: The store.
        run_id: The run it belongs to.
        entry: What to send.
    """
    _DELIVERIES[entry.kind](client, run_id, entry.content, entry.files)


def add_batch(
    outbox: Outbox,
    *,
    metrics: Sequence[tuple[str, float, int, int]] = (),
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Have metrics, parameters and tags sent.

    Args:
        outbox: Of the run.
        metrics: Key, value, moment in milliseconds since 1970, and step, of each. One that is not
            defined, NaN, is left out: a run has no such metric.
        params: Values by key.
        tags: Values by key.
    """
    texts = {key: str(value) for key, value in (params or {}).items()}
    defined = [metric for metric in metrics if not math.isnan(metric[1])]
    outbox.add("batch", {"metrics": defined, "params": texts, "tags": dict(tags or {})})


def _send_batch(
    client: mlflow.MlflowClient, run_id: str, content: Mapping[str, Any], _: Path
) -> None:
    metrics = [Metric(key, value, moment, step) for key, value, moment, step in content["metrics"]]
    params = [Param(key, value) for key, value in content["params"].items()]
    tags = [RunTag(key, value) for key, value in content["tags"].items()]
    for first in range(0, max(len(metrics), 1), _MOST_METRICS):
        client.log_batch(run_id, metrics[first : first + _MOST_METRICS])
    for first in range(0, len(params), _MOST_PARAMS):
        client.log_batch(run_id, params=params[first : first + _MOST_PARAMS])
    if tags:
        client.log_batch(run_id, tags=tags)


def _send_files(
    client: mlflow.MlflowClient, run_id: str, content: Mapping[str, Any], files: Path
) -> None:
    client.log_artifacts(run_id, str(files), content["folder"] or None)


def _send_inputs(
    client: mlflow.MlflowClient, run_id: str, content: Mapping[str, Any], _: Path
) -> None:
    inputs = [
        DatasetInput(
            Dataset(**each["dataset"]), [InputTag(key, text) for key, text in each["tags"].items()]
        )
        for each in content["inputs"]
    ]
    client.log_inputs(run_id, datasets=inputs)  # one is kept for each name and digest


def _send_end(
    client: mlflow.MlflowClient, run_id: str, content: Mapping[str, Any], _: Path
) -> None:
    if content["error"]:
        client.set_tag(run_id, ERROR_TAG, content["error"][:5000])
    client.set_terminated(run_id, content["status"], content["moment"])


_DELIVERIES: dict[str, Deliver] = {
    "batch": _send_batch,
    "files": _send_files,
    "inputs": _send_inputs,
    "checkpoint": checkpoints.send_checkpoint,
    "state": checkpoints.send_state,
    "register": registry.send_registration,
    "end": _send_end,
}
