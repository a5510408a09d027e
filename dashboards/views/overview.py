"""Overview: what is running, the champion of every dataset, the latest runs."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboards import empty_states, navigation, store, trials
from dashboards.checkpoints.notice import show_notice
from dashboards.comparison import SPLITS, Source
from dashboards.filmstrip import show_filmstrip
from dashboards.formatting import format_age, format_images, format_score
from dashboards.keys import widget_key
from dashboards.markdown import code, escape
from dashboards.previews import KEY_TO_COLORS, worst_images
from dashboards.run_table import run_table
from tiledseg.config.durations import format_duration
from tiledseg.tracking.names import (
    CHAMPION_METRIC,
    MODES,
    WANTED_TAG,
    final_metric,
    images_metric,
    is_scored,
    list_scored_classes,
)
from tiledseg.tracking.queries import RunSummary, VersionSummary
from tiledseg.tracking.store import store_address

MOST_THUMBNAILS = 6
MOST_RUNS = 12


def show() -> None:
    """The page."""
    runs = store.latest_runs(MOST_RUNS)
    if not runs:
        empty_states.show_no_runs()
        return
    st.title("Overview", anchor=False)
    _running()
    champions = [item for item in store.versions_if_any() if "champion" in item.aliases]
    if not champions:
        empty_states.show_no_models()
    for version in champions:
        with empty_states.guard_part(f"card-{version.model}"):  # one that is gone hides no other
            _card(version)
    _latest(runs)
    st.caption(f"Store {code(store_address())}")


@st.fragment(run_every=5)
def _running() -> None:
    """Open runs with their progress; looked up again every five seconds."""
    with empty_states.guard_part("running"):
        running = store.running_runs()
        if not running:
            return
        st.subheader("Running now", anchor=False)
        with st.container(border=True):
            for run in running:
                share, text = progress(run)
                st.progress(share, text=f"**{escape(run.dataset)}** · {escape(run.name)} · {text}")


def progress(run: RunSummary) -> tuple[float, str]:
    """How far a run is, as a fraction and in words."""
    began = f"began {format_age(run.started)}"
    if run.kind == "sweep":
        own = [trial for trial in run_table().runs() if trial.parent == run.run_id]
        ended = sum(trials.has_ended(trial) for trial in own)
        wanted = run.tags.get(WANTED_TAG, "")
        most = int(wanted) if wanted.isdecimal() else 0
        of = f" of {most}" if most else ""
        return min(1.0, ended / most) if most else 0.0, f"{ended}{of} trials · {began}"
    epochs = int(float(run.params.get("training.epochs", 0) or 0))
    curve = store.curves_of(run.run_id, ("val_dice",))
    if not epochs or curve.empty:
        return 0.0, began
    epoch, value = int(curve["epoch"].max()), float(curve["value"].iloc[-1])
    text = f"epoch {epoch} of at most {epochs} · validation Dice {value:.3f} · {began}"
    return min(1.0, epoch / epochs), text


def _card(version: VersionSummary) -> None:
    """One dataset: its champion, tiled beside non-tiled, numbers and pictures."""
    run = store.one_run(version.run_id)
    is_own = version.is_scored_by(run)
    splits = [name for name in SPLITS if is_scored(run.metrics, name)]
    split = splits[0] if splits and is_own else None
    with st.container(border=True):
        narrow, wide = st.columns([1, 2.6], gap="medium")
        with narrow:
            st.subheader(escape(version.model), anchor=False)
            st.markdown(
                f":blue-badge[champion] **version {version.version}**, "
                f"registered {format_age(version.created)}"
            )
            if split:
                _figures(run, split)
        with wide:
            if split:
                _pictures(version, run, split)
            elif not is_own:
                show_notice(version, run)
        with st.container(horizontal=True):
            if is_own:
                navigation.link(
                    "compare", "Compare image by image", "compare", dataset=version.model
                )
            navigation.link("epochs", "Epochs", "movie", run=run.run_id)
            navigation.link("try", "Try an image", "upload_file", model=version.model)
            navigation.link("models", "Model card", "deployed_code", model=version.model)


def _figures(run: RunSummary, split: str) -> None:
    """Mean Dice, tiled beside non-tiled, and the images behind it."""
    names = [final_metric(split, mode, "dice") for mode in MODES]
    tiled, resized = (run.metrics.get(name) for name in names)
    gain = None if tiled is None or resized is None else f"{tiled - resized:+.4f} over non-tiled"
    with st.container(horizontal=True):
        st.metric(f"Dice, tiled ({split})", format_score(tiled), gain, width=180)
        st.metric("Dice, non-tiled", format_score(resized), width=130)
    images = format_images(run.metrics, names[0])
    if images:
        st.caption(f"Mean over {images}.{_describe_classes(run, split)}")
    seam = run.metrics.get(f"{split}/seam/max_difference")
    if seam is not None:
        st.caption(
            f"Tiled and a single pass over the whole image differ by at most {seam:.1g}."
            if seam
            else "Tiled equals a single pass over the whole image.",
            help="Largest difference of a pixel's probability, over the images that were measured",
        )


def _describe_classes(run: RunSummary, split: str) -> str:
    """Of several classes, the Dice of each and its images."""
    parts = []
    for name in sorted(list_scored_classes(run.metrics)):
        metric = final_metric(split, MODES[0], f"dice/{name}")
        dice = format_score(run.metrics.get(metric))
        parts.append(f"{escape(name)} {dice} ({format_images(run.metrics, metric)})")
    return f" Tiled, of each class: {', '.join(parts)}." if parts else ""


def _pictures(version: VersionSummary, run: RunSummary, split: str) -> None:
    """The worst images; a click compares them at full size."""
    source = Source(f"v{version.version}", "", run)
    items = worst_images(source, split, MOST_THUMBNAILS)
    if not items:
        return
    label = f"Images of {version.model}, the worst first"
    clicked = show_filmstrip(items, "", label, key=widget_key("strip", version.model), large=True)
    st.caption(KEY_TO_COLORS)
    if clicked:
        navigation.go("compare", dataset=version.model, split=split, image=clicked)


def _latest(runs: Sequence[RunSummary]) -> None:
    st.subheader("Latest runs", anchor=False)
    table = pd.DataFrame(
        {
            "when": format_age(run.started),
            "dataset": run.dataset,
            "run": run.name,
            "kind": run.kind or "other",
            "status": run.status.lower(),
            "valid, tiled": run.metrics.get(CHAMPION_METRIC),
            "valid, non-tiled": run.metrics.get("valid/resized/dice"),
            "images": run.metrics.get(images_metric(CHAMPION_METRIC)),
            "took": format_duration(run.seconds),
        }
        for run in runs
    )
    number = st.column_config.NumberColumn(format="%.4f")
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "valid, tiled": number,
            "valid, non-tiled": number,
            "images": st.column_config.NumberColumn(
                format="%d", help="Images behind the mean of *valid, tiled*"
            ),
        },
        placeholder="-",
        alt="The latest runs with their scores",
    )
    navigation.link("runs", "All runs", "list_alt")
