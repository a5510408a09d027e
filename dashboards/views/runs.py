"""Runs: filter, choose columns, compare settings and curves of several."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboards import charts, empty_states, navigation, store
from dashboards.keys import widget_key
from dashboards.markdown import escape
from dashboards.run_table import run_table
from tiledseg.config.durations import format_duration
from tiledseg.tracking.names import is_images_metric
from tiledseg.tracking.queries import RunSummary

FIXED = ("when", "dataset", "run", "kind", "status", "took")
USUAL = (
    "valid/tiled/dice",
    "valid/resized/dice",
    "valid/tiled/images/dice",
    "test/tiled/dice",
    "test/resized/dice",
    "test/tiled/images/dice",
    "model.base_filters",
    "model.num_layers",
    "training.learning_rate",
)
MOST_COMPARED = 8
NEWEST = 3
NONE = "all"


def show() -> None:
    """The page."""
    runs = [run for run in run_table().runs() if run.kind != "launcher"]
    if not runs:
        empty_states.show_no_runs()
        return
    st.title("Runs", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kept = _filter_runs(runs)
        columns = _columns(runs)
    st.caption(f"{len(kept)} of {len(runs)} runs. Mark some to compare them instead of the newest.")
    if not kept:
        st.info("No run matches; remove a filter.")
        return
    chosen = _table(kept, columns)
    chosen = chosen or kept[:NEWEST]
    _curves(chosen)
    _settings(chosen)


def _filter_runs(runs: Sequence[RunSummary]) -> list[RunSummary]:
    dataset = navigation.choose("Dataset", [NONE, *store.datasets(runs)], "dataset", width=220)
    kinds = [NONE, *sorted({run.kind for run in runs if run.kind})]
    kind = navigation.choose("Kind", kinds, "kind", width=150)
    states_ = [NONE, *sorted({run.status.lower() for run in runs})]
    status = navigation.choose("Status", states_, "status", width=150)
    text = st.text_input(
        "Search",
        key="search",
        bind="query-params",
        placeholder="name, id or setting=value",
        width=260,
    )
    return [
        run
        for run in runs
        if dataset in {NONE, run.dataset}
        and kind in {NONE, run.kind}
        and status in {NONE, run.status.lower()}
        and matches(run, text)
    ]


def matches(run: RunSummary, text: str) -> bool:
    """Whether every word is in a run's name or id, or says a setting that it has.

    A word with = compares a setting, by the end of its name: ``base_filters=16``.
    """
    for word in text.lower().split():
        key, equals, value = word.partition("=")
        if equals:
            settings = [
                given.lower() for name, given in run.params.items() if name.lower().endswith(key)
            ]
            if value not in settings:
                return False
        elif word not in f"{run.name} {run.run_id} {run.dataset}".lower():
            return False
    return True


def _columns(runs: Sequence[RunSummary]) -> list[str]:
    """Scores and settings that the table shows; chosen by the visitor, kept in the link."""
    known = sorted({name for run in runs[:300] for name in (*run.metrics, *run.params)})
    usual = [name for name in USUAL if name in known]
    with st.popover("Columns", icon=":material/view_column:"):
        chosen = st.multiselect("Columns", known, usual, key="columns", bind="query-params")
    return list(chosen)


def _table(runs: Sequence[RunSummary], columns: Sequence[str]) -> list[RunSummary]:
    table = table_of(runs, columns)
    wanted = set(str(st.query_params.get("chosen", "")).split("."))
    marked = [i for i, run in enumerate(runs) if run.short_id in wanted]
    event = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": marked, "columns": [], "cells": []}},
        key=widget_key("table", *(run.run_id for run in runs)),
        height=min(440, 38 + 36 * max(1, len(runs))),
        column_config={
            "when": st.column_config.DatetimeColumn(format="distance"),
            "run": st.column_config.TextColumn(pinned=True),
            **{name: _column_of(name) for name in columns if table[name].dtype.kind == "f"},
        },
        placeholder="-",
        alt="Runs with scores and settings",
    )
    chosen = [runs[row] for row in event["selection"]["rows"] if row < len(runs)]
    link = ".".join(run.short_id for run in chosen)
    if link:
        st.query_params["chosen"] = link
    elif "chosen" in st.query_params:
        del st.query_params["chosen"]
    if len(chosen) > MOST_COMPARED:
        st.warning(f"The first {MOST_COMPARED} of {len(chosen)} marked runs are compared.")
    return chosen[:MOST_COMPARED]


def _column_of(name: str) -> ColumnConfig:
    """Scores with four digits; settings and numbers of images as short as they are."""
    if is_images_metric(name):
        return st.column_config.NumberColumn("images", format="%.4g", help=name)
    return st.column_config.NumberColumn(format="%.4f" if "/" in name else "%.4g")


def table_of(runs: Sequence[RunSummary], columns: Sequence[str]) -> pd.DataFrame:
    """One row per run; numbers as numbers, so that they sort."""
    data: dict[str, object] = {
        "run": [run.name for run in runs],
        "when": [run.started for run in runs],
        "dataset": [run.dataset for run in runs],
        "kind": [run.kind for run in runs],
        "status": [run.status.lower() for run in runs],
        "took": [format_duration(run.seconds) for run in runs],
    }
    for name in columns:
        values = [run.metrics.get(name, run.params.get(name)) for run in runs]
        numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
        given = sum(value is not None for value in values)
        data[name] = numbers if numbers.notna().sum() == given else values
    return pd.DataFrame(data)


def differing_settings(runs: Sequence[RunSummary]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Settings of several runs, one column per run: those that differ, and those that do not."""
    names = sorted({name for run in runs for name in run.params})
    columns = {
        f"{run.name} ({run.short_id})": [run.params.get(name, "-") for name in names]
        for run in runs
    }
    table = pd.DataFrame(columns, index=pd.Index(names, name="setting"))
    differs = table.ne(table.iloc[:, 0], axis=0).any(axis=1)
    return table[differs], table[~differs]


def _curves(runs: Sequence[RunSummary]) -> None:
    st.subheader("Curves", anchor=False)
    name = navigation.pick("Metric", list(store.CURVES), "metric", "val_dice")
    parts = []
    for run in runs:
        part = store.curves_of(run.run_id, (name,))
        parts.append(part.assign(run=f"{run.name} ({run.short_id})"))
    table = pd.concat(parts)
    if table.empty:
        st.info(f"None of these runs has logged {escape(name)} yet.")
        return
    chart = charts.curves(table, series="run")
    charts.show(chart, f"{name} over epochs, one line for each run")


def _settings(runs: Sequence[RunSummary]) -> None:
    st.subheader("Settings", anchor=False)
    differs, same = differing_settings(runs)
    if len(runs) > 1:
        if differs.empty:
            st.write("All settings are the same.")
        else:
            st.dataframe(differs, alt="Settings that differ")
    label = f"{len(same)} settings that are the same" if len(runs) > 1 else "Settings"
    expander = st.expander(label, key="same-settings", on_change="rerun")
    if expander.open:  # else a hundred rows are made and sent that nobody sees
        expander.dataframe(same, alt="Settings")
    with st.container(horizontal=True):
        for run in runs:
            navigation.link(
                "compare",
                f"Masks of {run.name}",
                "compare",
                dataset=run.dataset,
                a=f"{run.short_id}.tiled",
            )
            navigation.link("epochs", f"Epochs of {run.name}", "movie", run=run.run_id)
