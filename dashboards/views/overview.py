"""Overview: what is running, the champion of every dataset, the latest runs."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboards import links, states, store, words
from dashboards.comparison import SPLITS, Side, Source, joined_scores
from dashboards.filmstrip import Item, show_filmstrip, thumbnail_url
from tiledseg.tracking.reading import RunSummary, VersionSummary, store_address

LATEST = 40
MOST_THUMBNAILS = 8


def show() -> None:
    """The page."""
    runs = store.latest_runs(LATEST)
    if not runs:
        states.nothing_yet()
        return
    st.title("Overview", anchor=False)
    st.caption(f"Store `{store_address()}`")
    _running()
    champions = [item for item in store.quietly_registered() if "champion" in item.aliases]
    if not champions:
        states.no_model()
    for version in champions:
        with states.guarded():  # one whose run is gone does not hide the others
            _card(version)
    _latest(runs)


@st.fragment(run_every=5)
def _running() -> None:
    """Open runs with their progress; looked up again every five seconds."""
    running = store.running_runs()
    if not running:
        return
    st.subheader("Running now")
    for run in running:
        share, text = progress(run)
        with st.container(border=True):
            st.markdown(f"**{run.dataset}** · {run.name} · {run.kind or 'run'} · {text}")
            st.progress(share, text=None)


def progress(run: RunSummary) -> tuple[float, str]:
    """How far a run is, as a fraction and in words."""
    began = f"began {words.ago(run.started)}"
    epochs = int(float(run.params.get("training.epochs", 0) or 0))
    curve = store.curves_of(run.run_id, ("val_dice",))
    if not epochs or curve.empty:
        return 0.0, began
    epoch, value = int(curve["epoch"].max()), float(curve["value"].iloc[-1])
    text = f"epoch {epoch} of at most {epochs} · validation Dice {value:.3f} · {began}"
    return min(1.0, epoch / epochs), text


def _card(version: VersionSummary) -> None:
    """One dataset: its champion, tiled beside whole, and pictures."""
    with st.container(border=True):
        st.subheader(version.model, anchor=False)
        run = store.one_run(version.run_id)
        split = next((name for name in SPLITS if f"{name}/tiled/dice" in run.metrics), None)
        st.markdown(
            f"Champion is **version {version.version}**, registered {words.ago(version.created)}."
        )
        if split:
            _figures(run, split)
            _pictures(version, run, split)
        with st.container(horizontal=True):
            links.link("compare", "Compare image by image", "compare", dataset=version.model)
            links.link("epochs", "See it learn", "movie", run=run.run_id)
            links.link("try", "Try an image", "upload_file", model=version.model)
            links.link("models", "Model card", "deployed_code", model=version.model)


def _figures(run: RunSummary, split: str) -> None:
    """Tiled beside whole, as three numbers."""
    tiled, whole = (run.metrics.get(f"{split}/{mode}/dice") for mode in store.MODES)
    with st.container(horizontal=True):
        gain = None if tiled is None or whole is None else f"{tiled - whole:+.4f} over non-tiled"
        st.metric(f"Dice, tiled ({split})", words.score(tiled), gain, width=210)
        st.metric(f"Dice, non-tiled ({split})", words.score(whole), width=210)
        seam = run.metrics.get(f"{split}/seam/max_difference")
        if seam is not None:
            st.metric(
                "Tiled against one pass",
                f"{seam:.1g}",
                width=210,
                help="Largest difference of a probability from a pass over the whole image",
            )


def _pictures(version: VersionSummary, run: RunSummary, split: str) -> None:
    source = Source(f"v{version.version}", "", run)
    table = joined_scores(split, Side(source, "tiled"), Side(source, "whole"))
    found = store.predictions_of(run.run_id, split)
    items = []
    for row in table.head(MOST_THUMBNAILS).itertuples():
        stem = str(row.image)
        mask, image = found.path("tiled", stem), found.path("image", stem)
        if mask is None or image is None:
            continue
        src = thumbnail_url(mask, "mask", under=image)
        items.append(Item(stem, src, stem, f"{row.left:.3f}, non-tiled {row.right:.3f}"))
    if not items:
        return
    label = f"Images of {version.model}, the worst first"
    clicked = show_filmstrip(items, "", label, key=f"strip-{version.model}")
    if clicked:
        links.go("compare", dataset=version.model, split=split, image=clicked)


def _latest(runs: Sequence[RunSummary]) -> None:
    st.subheader("Latest runs", anchor=False)
    table = pd.DataFrame(
        {
            "when": [words.ago(run.started) for run in runs[:12]],
            "dataset": [run.dataset for run in runs[:12]],
            "run": [run.name for run in runs[:12]],
            "kind": [run.kind or "other" for run in runs[:12]],
            "status": [run.status.lower() for run in runs[:12]],
            "valid, tiled": [run.metrics.get("valid/tiled/dice") for run in runs[:12]],
            "valid, non-tiled": [run.metrics.get("valid/whole/dice") for run in runs[:12]],
            "took": [words.duration(run.seconds) for run in runs[:12]],
        }
    )
    number = st.column_config.NumberColumn(format="%.4f")
    st.dataframe(
        table,
        hide_index=True,
        column_config={"valid, tiled": number, "valid, non-tiled": number},
        alt="The latest runs with their scores",
    )
    links.link("runs", "All runs", "list_alt")
