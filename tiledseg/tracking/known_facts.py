"""What a run has logged before: an epoch that is trained again is not logged again."""

from collections.abc import Mapping, Sequence

import mlflow

from tiledseg.tracking.files import RunFiles, parse_epoch_picture
from tiledseg.tracking.outbox import Entry


class KnownFacts:
    """What a run has logged before: an epoch that is trained again is not logged again.

    Args:
        metrics: Value, and its moment in milliseconds since 1970, by key and step.
        pictures: Stem, mode and epoch of each epoch-change mask.
        params: Values by key.
    """

    def __init__(
        self,
        metrics: Mapping[tuple[str, int], tuple[float, int]] | None = None,
        pictures: frozenset[tuple[str, str, int]] = frozenset(),
        params: Mapping[str, str] | None = None,
    ) -> None:
        self.metrics, self.pictures, self.params = metrics or {}, pictures, params or {}

    @classmethod
    def read(cls, client: mlflow.MlflowClient, run_id: str) -> "KnownFacts":
        """Ask the store."""
        data = client.get_run(run_id).data
        metrics = {
            (key, each.step): (each.value, each.timestamp)
            for key in data.metrics
            for each in client.get_metric_history(run_id, key)
        }
        found = RunFiles(run_id).epoch_pictures()
        pictures = frozenset(
            (stem, mode, epoch) for (stem, mode), epochs in found.items() for epoch in epochs
        )
        return cls(metrics, pictures, data.params)

    @classmethod
    def collect(cls, entries: Sequence[Entry]) -> "KnownFacts":
        """Take what a run has in its outbox, of which nothing was sent."""
        batches = [entry.content for entry in entries if entry.kind == "batch"]
        metrics = {
            (key, step): (value, moment)
            for content in batches
            for key, value, moment, step in content["metrics"]
        }
        params = {key: text for content in batches for key, text in content["params"].items()}
        places = [entry.files for entry in entries if entry.kind == "files"]
        pictures = {parse_epoch_picture(path.name) for place in places for path in place.iterdir()}
        return cls(metrics, frozenset(each for each in pictures if each), params)

    def has(self, key: str, step: int, value: float) -> bool:
        """Whether a metric is there: of an epoch any value, of the whole run the same."""
        known = self.metrics.get((key, step))
        return known is not None and (step > 0 or known[0] == value)
