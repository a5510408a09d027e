"""Epochs: how the masks of a validation image changed while the network learned."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import streamlit as st

from dashboards import charts, empty_states, navigation, store
from dashboards.checkpoints.checkpoint_table import show_checkpoint_table
from dashboards.checkpoints.confirmation import show_promotion
from dashboards.checkpoints.opening import (
    CHECKPOINT,
    SHOW,
    STEM,
    choose_checkpoint,
    show_masks,
)
from dashboards.checkpoints.validation_images import digests_of
from dashboards.comparison import MODE_NAMES
from dashboards.formatting import format_age
from dashboards.keys import widget_key
from dashboards.run_table import run_table
from dashboards.viewer import Frame, Layer, Pane, Scene, show_viewer
from tiledseg.errors import TiledsegError
from tiledseg.tracking.checkpoint_summaries import CheckpointSummary
from tiledseg.tracking.queries import RunSummary

KINDS = {"train", "trial"}
MOST_RUNS = 200
MOST_ASKED = 5
FOLLOW_SECONDS = 5
EPOCH, FILM = "epoch", "film"
SHOWN = {FILM: "Every epoch", CHECKPOINT: "Checkpoint"}
RunState = tuple[str, float | None, float | None, tuple[str, ...]]
CURVES = (
    ("Dice", 270, ("val_dice", "dice", "val_dice_coef", "dice_coef")),
    ("Loss", 235, ("val_loss", "loss")),
    ("Learning rate", 165, ("learning_rate",)),
)
"""Title, height in pixels, and metrics of each chart."""


def show() -> None:
    """The page."""
    runs = [run for run in run_table().runs() if run.kind in KINDS]
    if not runs:
        empty_states.show_no_runs()
        return
    runs.sort(key=lambda run: run.kind != "train")  # a sweep's trials after them
    st.title("Epochs", anchor=False)
    by_id = {run.run_id: run for run in runs[:MOST_RUNS]}
    wanted = str(st.query_params.get("run", ""))
    if wanted and wanted not in by_id:
        by_id.update(_find_wanted(wanted))
    start = 0 if navigation.is_in_address(by_id, "run") else _first_with_pictures(list(by_id))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = navigation.choose(
            "Run",
            list(by_id),
            "run",
            start,
            always=True,
            format_func=lambda key: _label(by_id[key]),
            width=420,
        )
        run = by_id[chosen]
        kept = store.checkpoints_of(run.run_id)
        pictures = store.files_of(run.run_id).epoch_pictures()
        shown = navigation.pick(
            "Masks", list(SHOWN), SHOW, FILM, format_func=lambda key: SHOWN[key]
        )
        opened = choose_checkpoint(run, kept) if shown == CHECKPOINT else None
        stems = sorted({stem for stem, _ in pictures})
        if shown == CHECKPOINT:
            stems = list(digests_of(run.run_id)) if opened else []
        stem = navigation.choose("Image", stems, STEM, width=240) if stems else ""
    if shown == CHECKPOINT:
        _show_checkpoint(run, kept, opened, stems, stem)
    elif stems:
        _film(run, stem, pictures)
    else:
        st.info(
            "This run keeps no pictures of its epochs yet. They are made while training goes on, "
            "unless `training.epoch_pictures` is 0, as it is in the trials of a sweep."
        )
        _curves(run, None)
    _show_checkpoints(run, kept, opened)
    if run.status == "RUNNING":
        _follow(run.run_id, _state_of(run, kept))  # of what is shown: it may be outdated by now


def _find_wanted(run_id: str) -> dict[str, RunSummary]:
    """The run of a link, by its id: it may be an old one, or have just begun."""
    with suppress(TiledsegError):
        run = store.one_run(run_id)
        if run.kind in KINDS:
            return {run_id: run}
    return {}


def _show_checkpoint(
    run: RunSummary,
    kept: Sequence[CheckpointSummary],
    opened: CheckpointSummary | None,
    stems: Sequence[str],
    stem: str,
) -> None:
    """The masks of a checkpoint beside the curves."""
    if opened is None:
        st.info(
            "This run keeps no checkpoints yet. The networks of the best epochs are kept while "
            "training goes on, as many as `tracking.checkpoints` says."
        )
        _curves(run, None)
        return
    is_gone = opened.epoch not in {each.epoch for each in kept}
    with st.container():  # always there: the viewer keeps its place, and what is open in it
        if is_gone:
            st.warning(
                f"Epoch {opened.epoch} is not among the best any more, and its network is gone "
                "from the store. Masks that were made before are still shown; choose another "
                "checkpoint below."
            )
    wide, narrow = st.columns([2.2, 1], gap="medium")
    with wide, empty_states.guard_part("masks"):
        is_ready = True
        if stem:
            is_ready = show_masks(opened, stems, stem)
        else:
            st.info("The run has not written down what its validation images are.")
        if is_ready and not is_gone:
            show_promotion(run, opened, store.versions_if_any())
    with narrow:
        _curves(run, opened.epoch)


def _show_checkpoints(
    run: RunSummary, kept: Sequence[CheckpointSummary], opened: CheckpointSummary | None
) -> None:
    """What the run keeps; a click opens it."""
    if not kept:
        return
    st.subheader("Checkpoints", anchor=False)
    epoch = opened.epoch if opened else None
    clicked = show_checkpoint_table(run, kept, store.versions_if_any(), epoch)
    if clicked is not None and clicked != epoch:
        st.query_params.update({SHOW: CHECKPOINT, CHECKPOINT: str(clicked)})
        st.rerun()


@st.fragment(run_every=FOLLOW_SECONDS)
def _follow(run_id: str, shown: RunState) -> None:
    """Run the page again when a training has got on; what is open stays open."""
    with suppress(TiledsegError):
        if _state_of(store.one_run(run_id), store.checkpoints_of(run_id)) != shown:
            store.curves_of.clear()  # they may be those of a moment ago
            st.rerun()


def _state_of(run: RunSummary, kept: Sequence[CheckpointSummary]) -> RunState:
    """What changes on this page while a run goes on."""
    models = tuple(each.model_id for each in kept)
    return run.status, run.metrics.get("val_dice"), run.metrics.get("loss"), models


def _first_with_pictures(run_ids: Sequence[str]) -> int:
    """Where to begin; only the first few are asked, which is quick."""
    for place, run_id in enumerate(run_ids[:MOST_ASKED]):
        with suppress(TiledsegError):
            if store.files_of(run_id).epoch_pictures():
                return place
    return 0


@empty_states.guard_fragment
def _film(run: RunSummary, stem: str, pictures: dict[tuple[str, str], dict[int, str]]) -> None:
    """The viewer beside the curves; the slider reruns this alone."""
    shown = scene(run, stem, pictures, _epoch_in_link())
    wide, narrow = st.columns([2.2, 1], gap="medium")
    with wide:
        events = show_viewer(shown, key=widget_key("epochs", run.run_id, stem))
    epoch = shown.frames[shown.frame].value
    if events.frame is not None and events.frame in {frame.value for frame in shown.frames}:
        epoch = events.frame
        st.query_params[EPOCH] = str(epoch)
    with narrow:
        _curves(run, epoch)


def scene(
    run: RunSummary,
    stem: str,
    pictures: dict[tuple[str, str], dict[int, str]],
    epoch: int | None,
) -> Scene:
    """The viewer's panes: image, target, and the masks of each epoch."""
    files = store.files_of(run.run_id)
    predicted = store.predictions_of(run.run_id, "valid")
    image, target = predicted.path("image", stem), predicted.path("target", stem)
    modes = [mode for mode in ("resized", "tiled") if (stem, mode) in pictures]
    common = sorted(set.intersection(*[set(pictures[stem, mode]) for mode in modes]))
    paths = {mode: {at: files.path(pictures[stem, mode][at]) for at in common} for mode in modes}
    layers = [Layer("image", "Image", image, "image")] if image else []
    panes = [Pane("image", "Image", "image")] if image else []
    if target:
        layers.append(Layer("target", "Target", target, "mask", binary=True))
        panes.append(Pane("target", "Target", "mask", of="target"))
    against = "target" if target else ""
    start = common.index(epoch) if epoch in common else len(common) - 1
    before = common[max(0, start - 1)]
    for mode in modes:
        name = MODE_NAMES[mode]
        layers.append(Layer(mode, name, paths[mode][common[start]], "mask", binary=True))
        panes.append(Pane(mode, name, "mask", mode, against))
    for mode in modes:
        name = MODE_NAMES[mode]
        layers.append(Layer(f"{mode}-before", "previous epoch", paths[mode][before], "mask", True))
        panes.append(
            Pane(f"{mode}-change", f"Change, {name.lower()}", "difference", mode, f"{mode}-before")
        )
    frames = [_frame(common, i, paths) for i in range(len(common))]
    first = [pane.id for pane in panes if pane.id in {"target", "tiled", "resized"}]
    any_path = image or next(iter(paths[modes[0]].values()))
    return Scene(
        picture=f"{run.run_id}/{stem}",
        size=store.picture_size(any_path),
        layers=layers,
        panes=panes,
        shown=first,
        swiped=(modes[0], modes[-1]) if len(modes) > 1 else ("target", modes[0]),
        frames=frames,
        frame=start,
    )


def _frame(epochs: list[int], i: int, paths: dict[str, dict[int, Path]]) -> Frame:
    before = epochs[max(0, i - 1)]
    shown = {mode: by_epoch[epochs[i]] for mode, by_epoch in paths.items()}
    shown |= {f"{mode}-before": by_epoch[before] for mode, by_epoch in paths.items()}
    return Frame(epochs[i], f"epoch {epochs[i]} of {epochs[-1]}", shown)


def _curves(run: RunSummary, epoch: int | None) -> None:
    best = run.metrics.get("best_epoch")
    known = tuple(name for name in store.CURVES if name in run.metrics)
    table = store.curves_of(run.run_id, known)
    if table.empty:
        st.info("No epoch has ended yet.")
        return
    for title, height, names in CURVES:
        part = table[table["metric"].isin(names)]
        if part.empty:
            continue
        kept = int(best) if best else None
        chart = charts.curves(part, title=title, height=height, epoch=epoch, best=kept)
        charts.show(chart, f"{title} over epochs", key=widget_key("curve", title))
    if best:
        st.caption(f"Dotted: epoch {int(best)}, the best. Line: the epoch shown.")


def _epoch_in_link() -> int | None:
    text = str(st.query_params.get(EPOCH, ""))
    return int(text) if text.isdecimal() else None


def _label(run: RunSummary) -> str:
    return f"{run.dataset} · {run.name} · {format_age(run.started)}"
