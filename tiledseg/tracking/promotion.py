"""Promotion of a checkpoint: a logged model of a run becomes a version, and the champion."""

from dataclasses import dataclass

from tiledseg.errors import RegistryError
from tiledseg.tracking.champions import ValidationScore, explain_refusal_of_score, promote
from tiledseg.tracking.checkpoint_summaries import read_threshold
from tiledseg.tracking.checkpoints import find_checkpoint
from tiledseg.tracking.names import EPOCH_TAG, REGISTERED_TAG, THRESHOLD_TAG, TILING_TAG
from tiledseg.tracking.registry import find_version, make_version
from tiledseg.tracking.store import connect, store_errors


@dataclass(frozen=True)
class Promotion:
    """A version that has just become champion.

    Attributes:
        version: Its number.
        before: The champion before, or None.
    """

    version: str
    before: str | None


def promote_checkpoint(run_id: str, epoch: int, name: str, score: ValidationScore) -> Promotion:
    """Register a checkpoint of a run, and make it the champion by the rule of ``promote``.

    The logged model itself is registered, with the threshold that stands in its files. It never
    falls out of the best epochs from then on. ``latest-trained`` stays where it is.

    Args:
        run_id: The run, which may still be training.
        epoch: The checkpoint's.
        name: The registered model, made where there is none.
        score: Of the checkpoint, over all validation images of the run.

    Raises:
        RegistryError: Another version is better; then nothing was changed.
        TrackingError: The run keeps no network of that epoch, or the store does not answer.
    """
    client = connect()
    with store_errors():
        model = find_checkpoint(client, run_id, epoch)
        version = find_version(client, name, model.model_id)
        if version is None:
            refusal = explain_refusal_of_score(name, score, f"epoch {epoch} of run {run_id}")
            if refusal:
                raise RegistryError(refusal)
            client.set_logged_model_tags(model.model_id, {REGISTERED_TAG: name})
            find_checkpoint(client, run_id, epoch)  # the training may have removed it just now
            tags = {
                EPOCH_TAG: str(epoch),
                THRESHOLD_TAG: f"{read_threshold(model.model_id):.6f}",
                TILING_TAG: client.get_run(run_id).data.params.get("tiling.mode", ""),
            }
            version = make_version(client, name, model.model_id, run_id, score, tags)
    return Promotion(version, promote(name, version))
