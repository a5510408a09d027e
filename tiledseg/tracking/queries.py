"""Reading runs, curves and model versions from the store.

Reading never changes anything, and never imports Keras.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import mlflow
import pandas as pd
from mlflow.entities import Run, RunStatus, ViewType
from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from tiledseg.tracking.heartbeat import is_dead
from tiledseg.tracking.names import EPOCH_TAG, ERROR_TAG, KIND_TAG, PARENT_TAG
from tiledseg.tracking.store import connect, store_errors

PAGE = 250
"""Runs asked for in one request."""
_LOGGED = "models:"
"""Before the slash and the id of a logged model, in the source of a version."""
_PAGE = 1000
"""Experiments, models or versions asked for in one request."""
LOOK = 20
"""Runs asked for at first where all may be known already."""

Status = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED", "DIED"]
DIED = "DIED"
"""MLflow says RUNNING, but the process that the run belongs to is dead or silent."""


@dataclass(frozen=True)
class RunSummary:
    """One run, without its files."""

    run_id: str
    name: str
    dataset: str
    """The MLflow experiment, which is named after the dataset."""
    kind: str
    """train, evaluate, sweep, trial, launcher, or empty where tiledseg did not make the run."""
    status: str
    """MLflow's, or ``DIED``."""
    started: datetime
    seconds: float | None
    """How long it took; None while it runs."""
    parent: str
    """Id of the study that the run is a trial of, or empty."""
    error: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    files: str
    """URI of its artifacts."""

    @property
    def short_id(self) -> str:
        """Enough of the id to tell runs apart."""
        return self.run_id[:8]


@dataclass(frozen=True)
class VersionSummary:
    """One version of a registered model."""

    model: str
    version: str
    run_id: str
    created: datetime
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    description: str
    model_id: str
    """The logged model that it is, or empty."""

    @property
    def epoch(self) -> int | None:
        """The epoch of its run whose network it is; None where nobody wrote it down."""
        text = self.tags.get(EPOCH_TAG, "")
        return int(text) if text.isdecimal() else None

    def is_scored_by(self, run: RunSummary) -> bool:
        """Whether the scores and masks of its run are its own: they are those of the best epoch."""
        return self.epoch is None or run.metrics.get("best_epoch") == self.epoch


def read_runs(
    datasets: Iterable[str] = (),
    *,
    condition: str = "",
    limit: int | None = None,
    known: Mapping[str, RunSummary] | None = None,
) -> list[RunSummary]:
    """Runs of the store, the newest first.

    Args:
        datasets: MLflow experiments by name; all if empty.
        condition: MLflow's filter, for example ``tags.`tiledseg.kind` = 'sweep'``.
        limit: Most runs.
        known: Summaries from before, by id. Reading stops at the first page whose runs are
            all known, and begins with a small one, so that a look at a large store costs
            little. What began before these runs is taken from ``known`` as it is.

    Raises:
        TrackingError: The store does not answer.
    """
    client = connect()
    found: dict[str, RunSummary] = {}
    with store_errors():
        names = _experiment_names(client)
        wanted = set(datasets)
        ids = [key for key, name in names.items() if not wanted or name in wanted]
        token: str | None = None
        most = LOOK if known else PAGE
        while ids:
            size = min(most, limit - len(found)) if limit else most
            most = PAGE
            page = client.search_runs(
                ids, condition, ViewType.ACTIVE_ONLY, size, ["attributes.start_time DESC"], token
            )
            rows = [_summary(run, names) for run in page]
            settled = known is not None and rows and all(row.run_id in known for row in rows)
            found.update((row.run_id, row) for row in rows)
            token = page.token
            if settled and known is not None:
                found.update((key, row) for key, row in known.items() if key not in found)
                break
            if not token or (limit and len(found) >= limit):
                break
    return sorted(found.values(), key=lambda row: row.started, reverse=True)


def read_run(run_id: str) -> RunSummary:
    """One run.

    Raises:
        TrackingError: There is none of that id, or the store does not answer.
    """
    client = connect()
    with store_errors(f"run {run_id}"):
        run = client.get_run(run_id)
        name = client.get_experiment(run.info.experiment_id).name
    return _summary(run, {run.info.experiment_id: name})


def read_curves(run_id: str, names: Iterable[str]) -> pd.DataFrame:
    """Metrics over epochs: columns ``epoch``, ``metric``, ``value``.

    Raises:
        TrackingError: The store does not answer.
    """
    client = connect()
    rows: list[dict[str, Any]] = []
    with store_errors():
        for name in names:
            for point in client.get_metric_history(run_id, name):
                rows.append({"epoch": point.step, "metric": name, "value": point.value})
    table = pd.DataFrame(rows, columns=["epoch", "metric", "value"])
    return table.drop_duplicates(["epoch", "metric"], keep="last").sort_values("epoch")


def read_versions(model: str | None = None) -> list[VersionSummary]:
    """Versions of one registered model, or of all, the newest first.

    Raises:
        TrackingError: The store does not answer.
    """
    client = connect()
    quoted = (model or "").replace("'", "\\'")
    condition = f"name = '{quoted}'" if model else None
    with store_errors():
        models = _search_all(client.search_registered_models, filter_string=condition)
        aliases = {item.name: _versions_to_aliases(item) for item in models}
        found = [
            _version(item, aliases.get(item.name, {}))
            for item in _search_all(client.search_model_versions, filter_string=condition)
        ]
    return sorted(found, key=lambda item: item.created, reverse=True)


def _experiment_names(client: mlflow.MlflowClient) -> dict[str, str]:
    return {item.experiment_id: item.name for item in _search_all(client.search_experiments)}


def _search_all(search: Callable[..., Any], **conditions: Any) -> Iterator[Any]:
    """All that a search of MLflow finds, page by page."""
    token: str | None = None
    while True:
        page = search(max_results=_PAGE, page_token=token, **conditions)
        yield from page
        token = page.token
        if not token:
            return


def _versions_to_aliases(model: RegisteredModel) -> dict[str, tuple[str, ...]]:
    """The registry keeps them the other way round."""
    versions: dict[str, tuple[str, ...]] = {}
    for alias, version in sorted(model.aliases.items()):
        versions[str(version)] = (*versions.get(str(version), ()), alias)
    return versions


def _summary(run: Run, names: Mapping[str, str]) -> RunSummary:
    info, tags = run.info, run.data.tags
    ended = info.end_time
    status = info.status if isinstance(info.status, str) else RunStatus.to_string(info.status)
    if status == "RUNNING" and is_dead(tags):
        status = DIED
    return RunSummary(
        run_id=info.run_id,
        name=info.run_name or info.run_id[:8],
        dataset=names.get(info.experiment_id, info.experiment_id),
        kind=tags.get(KIND_TAG, ""),
        status=status,
        started=_moment(info.start_time),
        seconds=(ended - info.start_time) / 1000 if ended else None,
        parent=tags.get(PARENT_TAG, ""),
        error=tags.get(ERROR_TAG, ""),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags={key: value for key, value in tags.items() if key.startswith("tiledseg.")},
        files=info.artifact_uri,
    )


def _version(item: ModelVersion, aliases: Mapping[str, tuple[str, ...]]) -> VersionSummary:
    source, _, model_id = (item.source or "").rpartition("/")
    return VersionSummary(
        model=item.name,
        version=str(item.version),
        run_id=item.run_id or "",
        created=_moment(item.creation_timestamp),
        aliases=aliases.get(str(item.version), ()),
        tags=dict(item.tags),
        description=item.description or "",
        model_id=model_id if source == _LOGGED else "",
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
