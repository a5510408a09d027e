"""The checkpoints of a run as a table; a click on one opens its masks."""

from collections.abc import Sequence

import streamlit as st

from dashboards.checkpoints.mask_store import Network, score_network
from dashboards.checkpoints.validation_images import SPLIT, experiment_of
from dashboards.comparison import name_version
from dashboards.keys import widget_key
from dashboards.score_table import Column, Row, show_score_table
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.checkpoint_summaries import CheckpointSummary
from tiledseg.tracking.names import is_scored
from tiledseg.tracking.queries import RunSummary, VersionSummary

FIRST, METRICS = "val_dice", ("val_dice_coef", "val_loss", "dice", "loss")
"""Of an epoch, those that have a column, in this order."""
WHOLE = "Dice, whole images"
"""Heading of the score that promotion goes by."""


def network_of(checkpoint: CheckpointSummary) -> Network:
    """What segments as a checkpoint does."""
    return Network(f"models:/{checkpoint.model_id}", checkpoint.model_id, checkpoint.threshold)


def versions_of(
    checkpoint: CheckpointSummary, versions: Sequence[VersionSummary]
) -> list[VersionSummary]:
    """The versions that a checkpoint is registered as, the newest first."""
    return [item for item in versions if item.model_id == checkpoint.model_id]


def describe_threshold(checkpoint: CheckpointSummary) -> str:
    """The threshold of a checkpoint, and whether anybody chose it."""
    tuned = "tuned" if checkpoint.is_tuned else "not tuned"
    return f"{checkpoint.threshold:.4g}, {tuned}"


def find_score(
    checkpoint: CheckpointSummary, run: RunSummary, versions: Sequence[VersionSummary]
) -> ValidationScore | None:
    """What a checkpoint is compared by: from its version, from its run, or measured here.

    None where nobody has scored it on all validation images yet.
    """
    for version in versions_of(checkpoint, versions):
        score = ValidationScore.from_tags(version.tags)
        if score is not None:
            return score
    # Before a run has ended, its threshold may be chosen and not be in the model's files yet.
    is_best = run.status == "FINISHED" and run.metrics.get("best_epoch") == checkpoint.epoch
    if is_best and is_scored(run.metrics, SPLIT):
        return ValidationScore.from_metrics(run.metrics, experiment_of(run.run_id).class_names)
    return score_network(network_of(checkpoint), run.run_id)


def show_checkpoint_table(
    run: RunSummary,
    kept: Sequence[CheckpointSummary],
    versions: Sequence[VersionSummary],
    opened: int | None,
) -> int | None:
    """Show what a run keeps.

    Args:
        run: The run.
        kept: Its checkpoints.
        versions: All versions of the registry.
        opened: Epoch of the one whose masks are open.

    Returns:
        The epoch of one that was just clicked, or None.
    """
    columns, rows = table_of(run, kept, versions)
    by_row = {row.id: each.epoch for row, each in zip(rows, kept, strict=True)}
    chosen = next((name for name, epoch in by_row.items() if epoch == opened), "")
    clicked = show_score_table(
        columns,
        rows,
        chosen,
        "Checkpoints of the run",
        widget_key("checkpoints", run.run_id),
        "Epoch",
    )
    st.caption(
        "A click opens the masks of an epoch at full size; from there it can be promoted. "
        "`val_dice` is of validation tiles. The Dice of whole images is that of tiled masks, its "
        "mean over all validation images: it chooses the champion. A threshold that is not tuned "
        "is 0.5."
    )
    return by_row.get(clicked or "")


def table_of(
    run: RunSummary, kept: Sequence[CheckpointSummary], versions: Sequence[VersionSummary]
) -> tuple[list[Column], list[Row]]:
    """What a run keeps, as columns and rows to show."""
    names = [name for name in METRICS if any(name in each.metrics for each in kept)]
    words = [Column(title, words=True) for title in ("registered", "threshold")]
    columns = [Column(FIRST), Column(WHOLE), *words, *map(Column, names)]
    rows = [
        Row(
            f"{each.epoch}, best" if each.is_best else str(each.epoch),
            [
                each.metrics.get(FIRST),
                score.dice if (score := find_score(each, run, versions)) else None,
                "; ".join(map(name_version, versions_of(each, versions))) or None,
                describe_threshold(each),
                *(each.metrics.get(name) for name in names),
            ],
        )
        for each in kept
    ]
    return columns, rows
