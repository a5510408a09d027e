"""Models: versions, aliases, the model card, promotion."""

import json
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboards import empty_states, navigation, store
from dashboards.checkpoints.notice import show_notice
from dashboards.commands import prediction_command
from dashboards.comparison import SPLITS, Source, name_version
from dashboards.filmstrip import show_filmstrip
from dashboards.formatting import describe_score, format_age
from dashboards.keys import widget_key
from dashboards.markdown import escape, without_pictures
from dashboards.previews import KEY_TO_COLORS, worst_images
from tiledseg.config.durations import format_duration
from tiledseg.errors import TrackingError
from tiledseg.tracking.champions import ValidationScore, explain_refusal, promote
from tiledseg.tracking.names import (
    CHAMPION,
    SCORES,
    SPEED,
    final_metric,
    images_metric,
    is_scored,
    list_scored_classes,
)
from tiledseg.tracking.queries import RunSummary, VersionSummary

SCORE_NAMES = {"dice": "Dice", "iou": "IoU", SPEED: "s/megapixel"}
IMAGES = ", images"
"""Ends the name of a column of ``scores_table``."""
TABLE_HEIGHT = 38 + 35 * len((*SCORES, SPEED))


def show() -> None:
    """The page."""
    found = store.versions()
    if not found:
        empty_states.show_no_models()
        return
    st.title("Models", anchor=False)
    names = list(dict.fromkeys(item.model for item in found))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = navigation.choose("Model", names, "model", always=True, width=240)
        own = sorted(
            (item for item in found if item.model == model), key=lambda item: -int(item.version)
        )
        labels = {item.version: name_version(item) for item in own}
        champions = [item.version for item in own if CHAMPION in item.aliases]
        chosen = navigation.choose(
            "Version",
            [item.version for item in own],
            "version",
            format_func=lambda version: labels[version],
            index=[item.version for item in own].index(champions[0]) if champions else 0,
            always=True,
            width=260,
        )
    version = next(item for item in own if item.version == chosen)
    _promotion(version)
    with empty_states.guard_part("card"):  # the run may be gone, and the version still be promoted
        _card(version)
    _versions(own)


def _card(version: VersionSummary) -> None:
    """What the version is, what it scores, how to use it."""
    run = store.one_run(version.run_id)
    with st.container(border=True):
        st.subheader(f"{escape(version.model)}, version {version.version}", anchor=False)
        aliases = " ".join(f":blue-badge[{escape(alias)}]" for alias in version.aliases)
        st.markdown(
            f"{aliases} trained on **{escape(run.dataset)}** in {format_duration(run.seconds)}, "
            f"registered {format_age(version.created)}, run `{run.short_id}`"
        )
        if version.description:
            st.markdown(without_pictures(version.description))
        is_own = version.is_scored_by(run)
        if is_own:
            _pictures(version, run)
        left, right = st.columns([1.3, 1], gap="medium")
        with left:
            if is_own:
                _scores(run)
            else:
                show_notice(version, run)
        with right:
            st.dataframe(_main_settings(run), height=TABLE_HEIGHT, alt="Main settings")
        uri = f"models:/{version.model}/{version.version}"
        st.code(
            f"{prediction_command(uri)} --images FOLDER --output masks\n"
            f"mlflow.pyfunc.load_model({json.dumps(uri)}).predict(image)      # Python",
            language=None,
            wrap_lines=True,
        )
        with st.container(horizontal=True):
            key = f"v{version.version}"
            if is_own:
                navigation.link(
                    "compare",
                    "Compare masks",
                    "compare",
                    dataset=version.model,
                    a=f"{key}.tiled",
                    b=f"{key}.resized",
                )
            navigation.link("epochs", "Epochs", "movie", run=version.run_id)
            navigation.link(
                "try", "Try it", "upload_file", model=version.model, version=version.version
            )


def _scores(run: RunSummary) -> None:
    table = scores_table(run)
    st.dataframe(
        table,
        column_config={
            name: st.column_config.NumberColumn(
                "images" if name.endswith(IMAGES) else name,
                format="%d" if name.endswith(IMAGES) else "%.4f",
            )
            for name in map(str, table)
        },
        placeholder="-",
        alt="Scores, tiled beside non-tiled, each with the number of images behind it",
    )
    st.caption(
        "Means over whole images, as many as stand beside them; with several classes, an "
        "image counts for those that it has in target or mask. The champion is the best on "
        "valid, never on test."
    )


def scores_table(run: RunSummary) -> pd.DataFrame:
    """Scores of a run, one row each; for every split and mode a column, and one of its images.

    Of several classes, the Dice of each stands below their mean.
    """
    classes = sorted(list_scored_classes(run.metrics))
    scores = (SCORES[0], *(f"{SCORES[0]}/{name}" for name in classes), *SCORES[1:], SPEED)
    columns: dict[str, list[float | None]] = {}
    for split in SPLITS:
        if not is_scored(run.metrics, split):
            continue
        for mode, name in (("tiled", "tiled"), ("resized", "non-tiled")):
            metrics = [final_metric(split, mode, score) for score in scores]
            images = [images_metric(metric) for metric in metrics]
            columns[f"{split}, {name}"] = [run.metrics.get(metric) for metric in metrics]
            columns[f"{split}, {name}{IMAGES}"] = [run.metrics.get(metric) for metric in images]
    names = [SCORE_NAMES.get(score, score.replace(f"{SCORES[0]}/", "Dice, ")) for score in scores]
    return pd.DataFrame(columns, index=pd.Index(names, name="score"), dtype=float)


def _main_settings(run: RunSummary) -> pd.DataFrame:
    wanted = ("image.", "model.", "tiling.", "training.loss", "training.learning_rate")
    rows = {name: value for name, value in run.params.items() if name.startswith(wanted)}
    return pd.DataFrame({"value": rows}).rename_axis("setting")


def _pictures(version: VersionSummary, run: RunSummary) -> None:
    """The worst images; a click compares them at full size."""
    split = next((name for name in SPLITS if is_scored(run.metrics, name)), None)
    items = worst_images(Source(f"v{version.version}", "", run), split, 6) if split else []
    if not split or not items:
        return
    key = f"v{version.version}"
    label = f"Images of {split}, the worst first"
    clicked = show_filmstrip(
        items, "", label, key=widget_key("strip", version.model, key), large=True
    )
    st.caption(KEY_TO_COLORS)
    if clicked:
        navigation.go(
            "compare",
            dataset=version.model,
            a=f"{key}.tiled",
            b=f"{key}.resized",
            split=split,
            image=clicked,
        )


def _promotion(version: VersionSummary) -> None:
    done = st.session_state.pop("promoted", None)
    if done:
        st.success(done, icon=":material/verified:")
    if CHAMPION in version.aliases:
        st.caption("This version is the champion: what `tiledseg predict --model NAME` uses.")
        return
    if st.button(f"Promote version {version.version} to champion", icon=":material/verified:"):
        _ask(version)


@st.dialog("Promote to champion?")
def _ask(version: VersionSummary) -> None:
    """Say what will change, and change it only on a second click."""
    try:  # the page's guard is not there in a dialog
        if not _is_sure(version):
            return
        before = promote(version.model, version.version)
    except TrackingError as error:
        st.error(escape(str(error)), title="Not promoted")
        return
    store.versions.clear()
    told = f" in place of version {before}" if before else ""
    st.session_state["promoted"] = (
        f"Version {version.version} of {escape(version.model)} is champion now{told}."
    )
    st.rerun()


def _is_sure(version: VersionSummary) -> bool:
    """Say what speaks against it, or else what will change; whether it is to be done."""
    refusal = explain_refusal(version.model, version.version)
    if refusal:
        st.warning(escape(refusal), title="It cannot be promoted")
    else:
        score = ValidationScore.from_tags(version.tags)
        st.write(
            f"**{escape(version.model)} version {version.version}** has a validation Dice of "
            f"{describe_score(score)}. Everybody who uses the champion will get this version from "
            "now on."
        )
    with st.container(horizontal=True):
        sure = not refusal and st.button("Promote", type="primary", icon=":material/verified:")
        if st.button("Leave it"):
            st.rerun()
    return bool(sure)


def _versions(own: Sequence[VersionSummary]) -> None:
    st.subheader("All versions", anchor=False)
    scores = [ValidationScore.from_tags(item.tags) for item in own]
    table = pd.DataFrame(
        {
            "version": [int(item.version) for item in own],
            "epoch": [item.epoch for item in own],
            "aliases": [", ".join(item.aliases) for item in own],
            "valid, tiled": [score.dice if score else None for score in scores],
            "images": [score.images if score else None for score in scores],
            "classes": [", ".join(score.classes) if score else "" for score in scores],
            "registered": [item.created for item in own],
            "run": [item.run_id[:8] for item in own],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "valid, tiled": st.column_config.NumberColumn(format="%.4f"),
            "images": st.column_config.NumberColumn(
                format="%d", help="Validation images behind the mean"
            ),
            "classes": st.column_config.TextColumn(help="In the targets of validation images"),
            "registered": st.column_config.DatetimeColumn(format="distance"),
        },
        placeholder="-",
        alt="All versions of the model",
    )
