"""The masks of a checkpoint at full size, beside target and non-tiled mask."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from dashboards import empty_states, store
from dashboards.checkpoints.checkpoint_table import describe_threshold, network_of
from dashboards.checkpoints.mask_store import (
    MODES,
    TARGET,
    StoredMasks,
    find_masks,
    make_masks,
)
from dashboards.checkpoints.progress import wait_for
from dashboards.checkpoints.validation_images import find_image
from dashboards.comparison import MODE_NAMES
from dashboards.comparison_scene import Mask, compose_scene
from dashboards.formatting import format_score
from dashboards.jobs import stop_job
from dashboards.keys import widget_key
from dashboards.markdown import escape
from dashboards.masks import holds_labels
from dashboards.viewer import Scene, show_viewer
from tiledseg.errors import DatasetError
from tiledseg.tracking.checkpoint_summaries import CheckpointSummary
from tiledseg.tracking.queries import RunSummary

SHOW, CHECKPOINT, STEM = "show", "checkpoint", "stem"
"""Names in the address."""
OPENED = "open-checkpoint"
"""What a visitor's session remembers."""
KEYS = {"tiled": "a", "resized": "b"}
"""As the panes of a comparison are called."""


def choose_checkpoint(
    run: RunSummary, kept: Sequence[CheckpointSummary]
) -> CheckpointSummary | None:
    """The checkpoint in the address, else the best; one that is open stays so when it is gone.

    Args:
        run: The run.
        kept: What it keeps.
    """
    asked = str(st.query_params.get(CHECKPOINT, ""))
    before: CheckpointSummary | None = st.session_state.get(OPENED)
    offered = list(kept)
    if before is not None and before.run_id == run.run_id:
        offered.append(before)
    named = [each for each in offered if str(each.epoch) == asked]
    best = [each for each in kept if each.is_best]
    opened = next(iter([*named, *best, *kept]), None)
    st.session_state[OPENED] = opened
    if opened is not None:
        st.query_params[CHECKPOINT] = str(opened.epoch)
    return opened


def show_masks(checkpoint: CheckpointSummary, stems: Sequence[str], stem: str) -> bool:
    """Show a validation image as a checkpoint segments it; it does so first if nobody has yet.

    Args:
        checkpoint: The network.
        stems: The validation images of its run.
        stem: The one that is open.

    Returns:
        False while the image is being segmented.
    """
    network, run_id = network_of(checkpoint), checkpoint.run_id
    masks = find_masks(network, run_id, stem)
    key = f"masks-{network.digest}-{stem}"
    if masks is None:
        work = partial(make_masks, network, run_id, [stem])
        return not wait_for(key, work, f"Segmenting with epoch {checkpoint.epoch}")
    stop_job(key)
    _viewer(checkpoint, stems, stem, masks)
    tiled, resized = (format_score(masks.scores[mode]["dice"]) for mode in MODES)
    st.caption(
        f"Epoch {checkpoint.epoch} on {escape(stem)}: Dice **{tiled}** tiled, **{resized}** "
        f"non-tiled. Threshold {describe_threshold(checkpoint)}. "
        f"`tiledseg predict --model runs:/{run_id}@epoch={checkpoint.epoch}` gives the same masks."
    )
    return True


@empty_states.guard_fragment
def _viewer(
    checkpoint: CheckpointSummary, stems: Sequence[str], stem: str, masks: StoredMasks
) -> None:
    """The panes; moving in them reruns this alone."""
    events = show_viewer(
        scene(checkpoint.run_id, stem, masks), key=widget_key("masks", checkpoint.run_id)
    )
    if events.step:
        st.query_params[STEM] = stems[(stems.index(stem) + events.step) % len(stems)]
        st.rerun()


def scene(run_id: str, stem: str, masks: StoredMasks) -> Scene:
    """The viewer's panes: image, target, non-tiled, tiled, and what they differ in.

    Args:
        run_id: The run.
        stem: The image.
        masks: Of both modes.
    """
    shown = [
        Mask(
            KEYS[mode],
            MODE_NAMES[mode],
            masks.path(mode),
            holds_labels(masks.path(mode)),
            f"Dice {format_score(masks.scores[mode]['dice'], 3)}",
        )
        for mode in reversed(MODES)
    ]
    return compose_scene(
        f"{run_id}/{stem}",
        store.picture_size(masks.path("tiled")),
        image=_find_picture(run_id, stem),
        target=masks.path(TARGET),
        masks=shown,
        seams=masks.seams,
    )


def _find_picture(run_id: str, stem: str) -> Path | None:
    """The image; None where it is not at hand any more."""
    try:
        return find_image(run_id, stem).image
    except DatasetError:
        return None
