"""What pages say of a version whose run was scored with another epoch's network, or not at all."""

import streamlit as st

from dashboards import navigation
from dashboards.commands import evaluation_command
from dashboards.formatting import describe_score
from dashboards.markdown import code
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.queries import RunSummary, VersionSummary


def show_notice(version: VersionSummary, run: RunSummary) -> None:
    """Say where the masks and scores of a promoted checkpoint are.

    Args:
        version: One that ``is_scored_by`` its run not.
        run: Its run.
    """
    score = describe_score(ValidationScore.from_tags(version.tags))
    best = run.metrics.get("best_epoch")
    others = (
        "The run has no masks and scores yet."
        if best is None
        else f"The masks and scores in the run are those of epoch {int(best)}."
    )
    st.markdown(
        f"This is **epoch {version.epoch}** of its run, a checkpoint that was promoted. Its "
        f"Dice on validation images is {score}. {others} To have its own in the store: "
        f"{code(evaluation_command(version, run.dataset))}"
    )
    link_to_masks(version)


def link_to_masks(version: VersionSummary) -> None:
    """A link to the masks of a version's checkpoint."""
    navigation.link(
        "epochs",
        f"Masks of epoch {version.epoch}",
        "movie",
        run=version.run_id,
        show="checkpoint",
        checkpoint=str(version.epoch),
    )
