"""Sweeps: what a search tried, what mattered, what was best."""

import pandas as pd
import streamlit as st

from dashboards import charts, links, states, store, trials, words
from tiledseg.tracking.reading import RunSummary

MOST_AXES = 8


def show() -> None:
    """The page."""
    runs = store.run_table().runs()
    studies = {run.run_id: run for run in runs if run.kind == "sweep"}
    children: dict[str, list[RunSummary]] = {}
    for run in runs:
        if run.parent:
            children.setdefault(run.parent, []).append(run)
    studies = {key: run for key, run in studies.items() if children.get(key)}
    if not studies:
        states.no_sweep()
        return
    st.title("Sweeps", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = links.choose(
            "Study",
            list(studies),
            "study",
            always=True,
            format_func=lambda key: f"{studies[key].dataset} · {studies[key].name}",
            width=360,
        )
        own = children[chosen]
        objectives = trials.objectives_of(own)
        asked = studies[chosen].params.get("study.objectives", "").split(", ")
        objectives.sort(key=lambda name: name not in asked)
        if not objectives:
            st.info("No trial has ended with a score yet.")
            return
        objective = links.choose("Objective", objectives, "objective", width=260)
    table = trials.table_of(own, objective)
    _summary(table, objective)
    _best(table, objective)
    _history(table, objective)
    _settings(table)
    _pareto(table, own, objectives, objective)
    _trials(table)


def _summary(table: pd.DataFrame, objective: str) -> None:
    counts = table["state"].value_counts()
    parts = [f"{count} {state}" for state, count in counts.items()]
    direction = "larger" if trials.is_maximized(objective) else "smaller"
    st.caption(f"{len(table)} trials: {', '.join(parts)}. A {direction} {objective} is better.")


def _best(table: pd.DataFrame, objective: str) -> None:
    """The best trial, and how to train it in earnest."""
    done = table.dropna(subset=["score"])
    if done.empty:
        return
    place = done["score"].idxmax() if trials.is_maximized(objective) else done["score"].idxmin()
    best = done.loc[[place]].iloc[0]
    settings = {name: best[name] for name in table.columns[7:] if pd.notna(best[name])}
    with st.container(border=True):
        st.subheader("Best settings", anchor=False)
        with st.container(horizontal=True):
            st.metric(objective, words.score(best["score"]), width=190)
            st.metric("trial", str(best["number"]), width=110)
            for name, value in list(settings.items())[:6]:
                st.metric(name.rpartition(".")[2], _shown(value, 3), width=150)
        dataset = store.one_run(str(best["run_id"])).dataset
        overrides = " ".join(f"{name}={_shown(value)}" for name, value in settings.items())
        st.code(
            f'tiledseg train --dataset {dataset} --set "{overrides}"',
            language=None,
            wrap_lines=True,
        )
        with st.container(horizontal=True):
            short = str(best["run_id"])[:8]
            links.link(
                "compare",
                "Its masks",
                "compare",
                dataset=dataset,
                a=f"{short}.tiled",
                b=f"{short}.whole",
            )
            links.link("epochs", "Its epochs", "movie", run=str(best["run_id"]))


def _history(table: pd.DataFrame, objective: str) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("History", anchor=False)
        chart = charts.history(table, objective, maximize=trials.is_maximized(objective))
        charts.show(chart, f"{objective} of each trial, and the best so far")
        st.caption("Dots: trials. Line: the best so far.")
    with right:
        st.subheader("What mattered", anchor=False)
        found = trials.importance(table)
        if found.empty:
            st.info("Importance needs at least four trials with a score.")
            return
        title = "share of variance, each on its own"
        chart = charts.bars(found.head(8), "setting", "share", title)
        charts.show(chart, "Share of the objective's variance that each setting explains")
        st.caption("Adjusted for chance; what settings do together is not seen here.")


def _settings(table: pd.DataFrame) -> None:
    st.subheader("All settings together", anchor=False)
    ranked = list(trials.importance(table)["setting"]) or list(table.columns[7:])
    if not ranked or table["score"].notna().sum() < 2:
        st.info("Two trials with a score are needed.")
        return
    chart = charts.parallel(table, ranked[:MOST_AXES])
    charts.show(chart, "Parallel coordinates: each trial is a line through its settings")


def _pareto(
    table: pd.DataFrame, own: list[RunSummary], objectives: list[str], objective: str
) -> None:
    others = [name for name in objectives if name != objective]
    if not others:
        return
    st.subheader("Two objectives", anchor=False)
    usual = "valid/tiled/seconds_per_megapixel"
    others.sort(key=lambda name: name != usual)
    second = links.choose("Against", others, "against", width=300)
    by_id = {run.run_id: run.metrics for run in own}
    both = pd.DataFrame(
        {
            "name": table["name"],
            objective: [by_id[key].get(objective) for key in table["run_id"]],
            second: [by_id[key].get(second) for key in table["run_id"]],
        }
    ).dropna()
    if both.empty:
        st.info("No trial has both.")
        return
    front = trials.pareto_front(both, objective, second)
    chart = charts.scatter(both, second, objective, front)
    charts.show(chart, f"{objective} against {second}; trials that none beats in both are joined")


def _trials(table: pd.DataFrame) -> None:
    st.subheader("Trials", anchor=False)
    st.dataframe(
        table.drop(columns=["run_id"]).sort_values("number"),
        hide_index=True,
        column_config={
            "score": st.column_config.NumberColumn(format="%.4f"),
            "seconds": st.column_config.NumberColumn(format="%.0f"),
        },
        placeholder="-",
        alt="Every trial with its settings and score",
    )


def _shown(value: object, digits: int = 6) -> str:
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e9
        return str(int(value)) if whole else f"{value:.{digits}g}"
    return str(value)
