"""Sweeps: what a search tried, what mattered, what was best."""

import shlex
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from dashboards import charts, empty_states, navigation, store, studies, trials
from dashboards.commands import set_options
from dashboards.formatting import format_score
from dashboards.run_table import run_table
from dashboards.studies import Answer
from tiledseg.tracking.names import BEST_TAG, is_maximized
from tiledseg.tracking.queries import RunSummary

MOST_AXES = 8


def show() -> None:
    """The page."""
    runs = run_table().runs()
    found = {run.run_id: run for run in runs if run.kind == "sweep"}
    children: dict[str, list[RunSummary]] = {}
    for run in runs:
        if run.parent:
            children.setdefault(run.parent, []).append(run)
    found = {key: run for key, run in found.items() if children.get(key)}
    if not found:
        empty_states.show_no_sweeps()
        return
    st.title("Sweeps", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = navigation.choose(
            "Study",
            list(found),
            "study",
            always=True,
            format_func=lambda key: f"{found[key].dataset} · {found[key].name}",
            width=360,
        )
        own = children[chosen]
        objectives = trials.objectives_of(own)
        asked = found[chosen].params.get("study.objectives", "").split(", ")
        objectives.sort(key=lambda name: asked.index(name) if name in asked else len(asked))
        if not objectives:
            st.info("No trial has ended with a score yet.")
            return
        objective = navigation.choose("Objective", objectives, "objective", width=260)
    table = trials.table_of(own, objective)
    _summary(table, objective)
    is_asked = objective in asked[:1]  # the study's answer is about the first
    told = found[chosen].tags.get(BEST_TAG, "") if is_asked else ""
    _best(table, {run.run_id: run for run in own}, objective, chosen, told)
    if objective in store.CURVES and objective not in asked:
        st.caption(f"Of each trial, {objective} is that of its last epoch.")
    _history(table, objective)
    _settings(table)
    second = _second(objectives, objective)
    if second:
        others = {run.run_id: trials.score_of(run, second) for run in own}
        _pareto(trials.competing(table), others, objective, second)
    _trials(table)


def _summary(table: pd.DataFrame, objective: str) -> None:
    counts = table["state"].value_counts()
    parts = [f"{count} {state}" for state, count in counts.items()]
    direction = "larger" if is_maximized(objective) else "smaller"
    st.caption(f"{len(table)} trials: {', '.join(parts)}. A {direction} {objective} is better.")


def _best(
    table: pd.DataFrame, by_id: Mapping[str, RunSummary], objective: str, study: str, told: str
) -> None:
    """The best trial, and how to train it in earnest.

    Args:
        table: Trials with their scores.
        by_id: Their runs.
        objective: What the scores are.
        study: Run of the study.
        told: Run of the trial that the study took for the best when its last session ended.
    """
    done = trials.competing(table)
    if done.empty:
        return
    most = done["score"].max() if is_maximized(objective) else done["score"].min()
    first = done[done["score"] == most]
    is_in_address = told in set(first["run_id"])
    best = (first[first["run_id"] == told] if is_in_address else first).iloc[0]
    run = by_id[str(best["run_id"])]
    answer = studies.answer_of(study) if is_in_address else Answer()
    with st.container(border=True):
        st.subheader("Best settings", anchor=False)
        names = [name for name in trials.settings_in(table) if not pd.isna(best[name])]
        with st.container(horizontal=True):
            st.metric(objective, format_score(best["score"]), width=190)
            st.metric("trial", str(best["number"]), width=110)
            for name in names[:6]:
                st.metric(name.rpartition(".")[2], _format_value(best[name], 3), width=150)
        if answer.experiment:
            _tell(run, answer)
        else:
            keys = [
                key for key in trials.list_searched_keys(list(by_id.values())) if key in run.params
            ]
            options = set_options({key: run.params[key] for key in keys})
            _command(f"tiledseg train --dataset {shlex.quote(run.dataset)} {options}")
        with st.container(horizontal=True):
            navigation.link(
                "compare",
                "Its masks",
                "compare",
                dataset=run.dataset,
                a=f"{run.short_id}.tiled",
                b=f"{run.short_id}.resized",
            )
            navigation.link("epochs", "Its epochs", "movie", run=run.run_id)


def _tell(run: RunSummary, answer: Answer) -> None:
    """What the study itself gives as its answer."""
    name = f"{run.dataset}-best.yaml"
    st.download_button(
        "Its experiment, at full budget (YAML)",
        data=answer.experiment,
        file_name=name,
        mime="application/yaml",
        icon=":material/download:",
        on_click="ignore",
    )
    _command(f"tiledseg train --experiment {shlex.quote(name)}")
    if not answer.retrained.empty:
        final = answer.retrained.sort_values("score").iloc[-1]
        st.caption(
            f"Of {len(answer.retrained)} trials that were trained in full afterwards, trial "
            f"{final['number']} came out best, with a validation Dice of "
            f"{format_score(final['score'])}."
        )


def _command(text: str) -> None:
    st.code(text, language=None, wrap_lines=True)


def _history(table: pd.DataFrame, objective: str) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("History", anchor=False)
        chart = charts.history(table, objective, maximize=is_maximized(objective))
        charts.show(chart, f"{objective} of each trial, and the best so far")
        st.caption("Dots: trials. Line: the best complete one so far.")
    with right:
        st.subheader("What mattered", anchor=False)
        found = trials.importance(table)
        if found.empty:
            st.info("Importance needs at least four complete trials with a score.")
            return
        title = "share of variance, each on its own"
        chart = charts.bars(found.head(8), "setting", "share", title)
        charts.show(chart, "Share of the objective's variance that each setting explains")
        st.caption("Adjusted for chance; what settings do together is not seen here.")


def _settings(table: pd.DataFrame) -> None:
    st.subheader("All settings together", anchor=False)
    done = trials.competing(table)
    ranked = list(trials.importance(table)["setting"]) or trials.settings_in(table)
    if not ranked or len(done) < 2:
        st.info("Two complete trials with a score are needed.")
        return
    chart = charts.parallel(done, ranked[:MOST_AXES])
    charts.show(chart, "Parallel coordinates: each trial is a line through its settings")


def _second(objectives: Sequence[str], objective: str) -> str:
    """What the objective is weighed against; empty where there is no other metric."""
    others = [name for name in objectives if name != objective]
    if not others:
        return ""
    st.subheader("Two objectives", anchor=False)
    usual = "valid/tiled/seconds_per_megapixel"
    others.sort(key=lambda name: name != usual)
    return navigation.choose("Against", others, "against", width=300)


def _pareto(table: pd.DataFrame, others: Mapping[str, float], objective: str, second: str) -> None:
    both = pd.DataFrame(
        {
            "name": table["name"],
            objective: table["score"],
            second: table["run_id"].map(others).astype(float),
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


def _format_value(value: object, digits: int = 6) -> str:
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e9
        return str(int(value)) if whole else f"{value:.{digits}g}"
    return str(value)
