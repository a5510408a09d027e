"""Compare: two sides, image by image."""

import io
import math
import zipfile
from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import empty_states, navigation, store
from dashboards.commands import evaluation_command
from dashboards.comparison import (
    SPLITS,
    Side,
    dice_metric,
    join_scores,
    list_shared_classes,
    list_sides,
    list_sources,
    list_unscored,
    mean_dice,
    name_version,
)
from dashboards.comparison_scene import build_scene
from dashboards.filmstrip import Item, Shot, show_filmstrip, thumbnail_url
from dashboards.formatting import format_images, format_score
from dashboards.keys import widget_key
from dashboards.markdown import code, escape
from dashboards.run_table import run_table
from dashboards.score_table import Column, Row, show_score_table
from dashboards.viewer import show_viewer
from tiledseg.tracking.queries import RunSummary

IMAGE, CLASS = "image", "class"
MOST_THUMBNAILS = 60
ORDERS = ("worst first", "A wins", "B wins", "by name")


def show() -> None:
    """The page."""
    runs = run_table().runs()
    names = store.datasets(runs)
    if not names:
        empty_states.show_no_runs()
        return
    st.title("Compare", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dataset = navigation.choose("Dataset", names, "dataset", always=True, width=190)
        linked = {str(st.query_params.get(side, "")).partition(".")[0] for side in ("a", "b")}
        found = list_sides(list_sources(dataset, runs, store.versions_if_any(), linked))
        if not found:
            empty_states.show_no_pictures(f"No run of {dataset} has predictions to compare.")
            return
        split = navigation.pick("Split", list(SPLITS), "split", "test")
        left, right = _side("A", found, "a", 0), _side("B", found, "b", 1)
        name = _class(left, right)
    _left_out(dataset, runs)
    table = join_scores(split, left, right, name)
    if table.empty:
        empty_states.show_no_pictures(f"The two sides share no predicted image of {split}.")
        return
    _summary(table, split, left, right, name)
    panes = st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen_order = navigation.pick("Order of images", list(ORDERS), "order", ORDERS[0])
    table = order(table, chosen_order)
    stem = _open_image(table)
    with panes:
        _viewer(table, split, stem, left, right, name)
    _strip(table, stem, split, left, _label(left, right, name))
    _table(table, stem, split, left, right)


def _left_out(dataset: str, runs: Sequence[RunSummary]) -> None:
    """Say which versions have no masks to compare."""
    for version in list_unscored(dataset, runs, store.versions_if_any()):
        st.caption(
            f"{escape(name_version(version))} is a promoted checkpoint, epoch {version.epoch} of "
            "its run, and has no masks to compare in the store yet: "
            f"{code(evaluation_command(version, dataset))} makes them."
        )


def _side(name: str, found: dict[str, Side], key: str, place: int) -> Side:
    """One select box for version and mode; at first the champion, tiled and non-tiled."""
    chosen = navigation.choose(
        name,
        list(found),
        key,
        index=place,
        always=True,
        format_func=lambda item: found[item].title,
        width=310,
    )
    return found[chosen]


def _class(left: Side, right: Side) -> str:
    """The class that is looked at where both sides have the same several; empty for all."""
    names = list_shared_classes(left, right)
    if not names:
        return ""
    every = "all classes"
    chosen = navigation.choose("Class", [every, *names[1:]], CLASS, width=190)
    return "" if chosen == every else chosen


def _label(left: Side, right: Side, name: str) -> int | None:
    return list_shared_classes(left, right).index(name) if name else None


def _summary(table: pd.DataFrame, split: str, left: Side, right: Side, name: str) -> None:
    """The answer in one line, before any picture."""
    if left.mode == "target" or right.mode == "target":
        return
    better = int((table["gain"] > 0.0005).sum())
    worse = int((table["gain"] < -0.0005).sum())
    shared = int(table["gain"].notna().sum())
    names = [left.label, right.label]
    if left.source.key != right.source.key:
        names = [f"{side.label} {side.source.key}" for side in (left, right)]
    st.markdown(
        f"**{names[0]} {_describe_mean(left, split, name)} against "
        f"**{names[1]} {_describe_mean(right, split, name)} mean Dice "
        f"{f'of *{escape(name)}* ' if name else ''}on *{split}*: "
        f"better on {better}, worse on {worse} of the {shared} that both have."
    )


def _describe_mean(side: Side, split: str, name: str) -> str:
    """A side's mean Dice, and the images that it is over."""
    images = format_images(side.source.run.metrics, dice_metric(side, split, name))
    return f"{format_score(mean_dice(side, split, name))}**{f' ({images})' if images else ''}"


def order(table: pd.DataFrame, order: str) -> pd.DataFrame:
    """The images in one of ``ORDERS``; the table comes with the worst first."""
    if order == "worst first":
        return table
    if order == "by name" or "gain" not in table:
        return table.sort_values("image", ignore_index=True)
    return table.sort_values("gain", ascending=order == "B wins", ignore_index=True)


def _open_image(table: pd.DataFrame) -> str:
    """The image in the link, or the first."""
    stem = str(st.query_params.get(IMAGE, ""))
    return stem if stem in set(table["image"]) else str(table["image"].iloc[0])


def _strip(table: pd.DataFrame, stem: str, split: str, left: Side, label: int | None) -> None:
    """Thumbnails around the open image; a click opens another."""
    stems = [str(name) for name in table["image"]]
    first = max(0, min(stems.index(stem) - MOST_THUMBNAILS // 2, len(stems) - MOST_THUMBNAILS))
    rows = table.iloc[first : first + MOST_THUMBNAILS].to_dict("records")
    found = store.predictions_of(left.source.run.run_id, split)
    items = [
        _item({str(key): value for key, value in row.items()}, found, left, label) for row in rows
    ]
    clicked = show_filmstrip(items, stem, "Images", key="strip")
    if clicked in stems and clicked != stem:
        _open(clicked)


def _open(stem: str) -> None:
    st.query_params[IMAGE] = stem
    st.rerun()


def _item(row: dict[str, Any], found: store.Predictions, left: Side, label: int | None) -> Item:
    stem = str(row["image"])
    mask, image = found.path(left.mode, stem), found.path("image", stem)
    target = found.path("target", stem) if left.mode != "target" else None
    shots = [Shot(thumbnail_url(mask, "mask", image, target, label))] if mask else []
    scores = [format_score(float(row[name]), 3) for name in ("left", "right") if name in row]
    gain = float(row.get("gain", math.nan))
    badge = "" if math.isnan(gain) else f"{gain:+.3f}"
    return Item(stem, shots, stem, " / ".join(scores), badge)


@empty_states.guard_fragment
def _viewer(table: pd.DataFrame, split: str, stem: str, left: Side, right: Side, name: str) -> None:
    """The panes; moving in them reruns this alone."""
    shown = build_scene(split, stem, left, right, name)
    if shown is None:
        empty_states.show_no_pictures(f"The masks of {stem} are not in the store any more.")
        return
    events = show_viewer(shown, key="compare-viewer")
    if events.step:
        stems = [str(item) for item in table["image"]]
        at = (stems.index(stem) + events.step) % len(stems)
        _open(stems[at])


def _table(table: pd.DataFrame, stem: str, split: str, left: Side, right: Side) -> None:
    """Scores of every image; a click opens another."""
    st.subheader("Scores of every image", anchor=False)
    stems = [str(item) for item in table["image"]]
    clicked = show_score_table(*table_of(table, left, right), stem, "Dice of each image", "scores")
    if clicked in stems and clicked != stem:
        _open(clicked)
    _downloads(table, stems, split, left, right)


def table_of(table: pd.DataFrame, left: Side, right: Side) -> tuple[list[Column], list[Row]]:
    """What ``join_scores`` gave, as columns and rows to show."""
    columns = {
        "left": Column(f"A: {left.label}"),
        "right": Column(f"B: {right.label}"),
        "gain": Column("A minus B", signed=True),
    }
    shown = [name for name in columns if name in table]
    numbers = table[shown].astype(object).where(table[shown].notna(), None)
    rows = [
        Row(str(stem), values)
        for stem, values in zip(table["image"], numbers.to_numpy().tolist(), strict=True)
    ]
    return [columns[name] for name in shown], rows


def _downloads(
    table: pd.DataFrame, stems: Sequence[str], split: str, left: Side, right: Side
) -> None:
    with st.container(horizontal=True):
        for name, side in (("A", left), ("B", right)):
            what, explanation = describe_pixel_format(side)
            st.download_button(
                f"{what} of {name} ({side.label.lower()})",
                data=partial(zip_masks, side, split, stems),
                file_name=f"{side.source.run.dataset}-{split}-{side.source.key}-{side.mode}.zip",
                mime="application/zip",
                icon=":material/download:",
                on_click="ignore",
                key=widget_key("masks", name),
                help=explanation,
            )
        st.download_button(
            "Scores (CSV)",
            data=table.to_csv(index=False),
            file_name=f"{left.source.run.dataset}-{split}-scores.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def describe_pixel_format(side: Side) -> tuple[str, str]:
    """What the stored files of a side are, in a word and in a sentence."""
    if side.mode == "target":
        return "Masks", "PNG files as the run was scored on them"
    if store.classes_of(side.source.run.run_id):
        return "Predictions", "PNG files of label indices, with the colors of the classes"
    return "Predictions", "PNG files of probabilities, 0 to 255; 128 and more is foreground"


def zip_masks(side: Side, split: str, stems: Sequence[str]) -> bytes:
    """The stored files of a side: probabilities in 8 bits, or the target's masks."""
    found = store.predictions_of(side.source.run.run_id, split)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for stem in stems:
            path = found.path(side.mode, stem)
            if path is not None:
                archive.write(path, path.name)
    return packed.getvalue()
