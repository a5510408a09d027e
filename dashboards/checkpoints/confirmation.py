"""Promotion of a checkpoint: what is compared with what is said before anything changes."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import streamlit as st

from dashboards import store
from dashboards.checkpoints.checkpoint_table import (
    describe_threshold,
    find_score,
    network_of,
    versions_of,
)
from dashboards.checkpoints.mask_store import Network, make_masks, score_network
from dashboards.checkpoints.progress import wait_for
from dashboards.checkpoints.validation_images import Digests, digests_of
from dashboards.commands import prediction_command
from dashboards.formatting import describe_score
from dashboards.jobs import find_job, stop_job
from dashboards.markdown import code, escape
from tiledseg.errors import TiledsegError, TrackingError
from tiledseg.tracking.champions import (
    ValidationScore,
    explain_refusal,
    explain_refusal_of_score,
)
from tiledseg.tracking.checkpoint_summaries import CheckpointSummary, read_threshold
from tiledseg.tracking.names import CHAMPION
from tiledseg.tracking.promotion import promote_checkpoint
from tiledseg.tracking.queries import RunSummary, VersionSummary

ASKED, DONE = "promotion-asked", "promotion-done"
"""What a visitor's session remembers."""


@dataclass(frozen=True)
class Champion:
    """The version that a checkpoint would take the place of.

    Attributes:
        version: It.
        score: On the validation images of the checkpoint's run; None where it cannot be measured.
        why: Why not, or empty.
        is_same_data: Whether it was registered with its score on these very images.
    """

    version: VersionSummary
    score: ValidationScore | None
    why: str
    is_same_data: bool

    def describe(self) -> str:
        """Its score, and where that comes from."""
        name = f"The champion, version {self.version.version},"
        registered = describe_score(ValidationScore.from_tags(self.version.tags))
        if self.is_same_data:
            return f"{name} has {describe_score(self.score)} on the same images."
        if self.score is None:
            return (
                f"{name} was registered with {registered} on other images, and cannot be scored on "
                f"these: {escape(self.why)}."
            )
        return (
            f"{name} has {describe_score(self.score)} on the same images; it was registered with "
            f"{registered}, on others."
        )


def show_promotion(
    run: RunSummary, checkpoint: CheckpointSummary, versions: Sequence[VersionSummary]
) -> None:
    """Offer to promote a checkpoint, ask, and say what came of it.

    Args:
        run: Its run.
        checkpoint: The one whose masks are open.
        versions: All versions of the registry.
    """
    done = st.session_state.pop(DONE, None)
    if done:
        st.success(done, icon=":material/verified:")
        return
    own = versions_of(checkpoint, versions)
    for version in own:
        if CHAMPION in version.aliases:
            st.caption(
                f"Epoch {checkpoint.epoch} is version {version.version} of "
                f"{escape(version.model)}, the champion: what "
                f"{code(prediction_command(version.model))} uses."
            )
            return
    if st.session_state.get(ASKED) != checkpoint.model_id:
        label = f"Promote epoch {checkpoint.epoch} to champion"
        if st.button(label, icon=":material/verified:"):
            st.session_state[ASKED] = checkpoint.model_id
            st.rerun()
        return
    with st.container(border=True):
        st.subheader(f"Promote epoch {checkpoint.epoch} to champion?", anchor=False)
        _ask(run, checkpoint, versions)


def _ask(
    run: RunSummary, checkpoint: CheckpointSummary, versions: Sequence[VersionSummary]
) -> None:
    """Score what has no score yet; then compare, and change something only on a second click."""
    images = digests_of(run.run_id)
    score = find_score(checkpoint, run, versions)
    if score is None and not images:
        st.info("The run has not written down what its validation images are: it cannot be scored.")
        _leave()
        return
    if score is None:
        key = _score(network_of(checkpoint), run.run_id, f"Scoring epoch {checkpoint.epoch}")
        _leave(key)
        return
    holder = next(
        (item for item in versions if item.model == run.dataset and CHAMPION in item.aliases), None
    )
    champion = None if holder is None else _compare(holder, run.run_id)
    if holder is not None and champion is None:
        _leave(_score(_network_of(holder), run.run_id, f"Scoring version {holder.version}"))
        return
    st.markdown(
        f"**Epoch {checkpoint.epoch}** of {escape(run.name)} has a Dice of "
        f"{describe_score(score)} on the validation images of its run, "
        f"with its threshold {describe_threshold(checkpoint)}. "
        + (champion.describe() if champion else f"{escape(run.dataset)} has no champion yet.")
    )
    refusal = _explain_refusal(run, checkpoint, versions, score)
    if refusal:
        st.warning(escape(refusal), title="It cannot be promoted")
        _leave()
        return
    if champion and champion.score is not None and champion.score.rank > score.rank:
        st.warning("On these images the champion is better.")
    own = versions_of(checkpoint, versions)
    what = f"It is version {own[0].version}" if own else "It becomes a new version"
    st.markdown(
        f"{what} of {escape(run.dataset)}, and everybody who uses the champion will get it from "
        "now on."
    )
    with st.container(horizontal=True):
        if st.button("Promote", type="primary", icon=":material/verified:"):
            _promote(run, checkpoint, score)
        _leave()


def _explain_refusal(
    run: RunSummary,
    checkpoint: CheckpointSummary,
    versions: Sequence[VersionSummary],
    score: ValidationScore,
) -> str:
    """The registry's own rule, asked before anything is offered."""
    own = versions_of(checkpoint, versions)
    if own:
        return explain_refusal(own[0].model, own[0].version)
    return explain_refusal_of_score(run.dataset, score, f"epoch {checkpoint.epoch}")


def _promote(run: RunSummary, checkpoint: CheckpointSummary, score: ValidationScore) -> None:
    try:
        made = promote_checkpoint(run.run_id, checkpoint.epoch, run.dataset, score)
    except TrackingError as error:
        st.error(escape(str(error)), title="Not promoted")
        store.versions.clear()
        return
    store.versions.clear()
    st.session_state.pop(ASKED, None)
    told = "" if made.before is None else f" in place of version {made.before}"
    st.session_state[DONE] = (
        f"Epoch {checkpoint.epoch} is version {made.version} of {escape(run.dataset)} and champion "
        f"now{told}. {code(prediction_command(run.dataset))} uses it, with its threshold "
        f"{describe_threshold(checkpoint)}."
    )
    st.rerun()


def _compare(holder: VersionSummary, run_id: str) -> Champion | None:
    """The champion on a run's validation images; None while its score is not there yet."""
    own: dict[str, Digests] = {}
    with suppress(TiledsegError):  # its run is gone: nobody knows what it was scored on
        own = digests_of(holder.run_id)
    registered = ValidationScore.from_tags(holder.tags)
    if own and own == digests_of(run_id) and registered is not None:
        return Champion(holder, registered, "", is_same_data=True)
    try:
        network = _network_of(holder)
    except TrackingError as error:  # the network is gone
        return Champion(holder, None, str(error), is_same_data=False)
    score = score_network(network, run_id)
    if score is not None:
        return Champion(holder, score, "", is_same_data=False)
    job = find_job(_key(network, run_id))
    if job is not None and job.is_done and job.error is not None:
        return Champion(holder, None, str(job.error), is_same_data=False)
    return None


def _network_of(version: VersionSummary) -> Network:
    uri = f"models:/{version.model}/{version.version}"
    return Network(uri, version.model_id, read_threshold(version.model_id))


def _score(network: Network, run_id: str, what: str) -> str:
    """Have all validation images of a run scored; returns the key of the work."""
    key = _key(network, run_id)
    wait_for(key, partial(make_masks, network, run_id, list(digests_of(run_id))), what)
    return key


def _key(network: Network, run_id: str) -> str:
    return f"score-{network.digest}-{run_id}"


def _leave(key: str = "") -> None:
    """Let everything be, and end the work that was begun for it."""
    if st.button("Leave it", key="leave-promotion"):
        st.session_state.pop(ASKED, None)
        if key:
            stop_job(key)
        st.rerun()
