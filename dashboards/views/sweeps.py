"""The page Sweeps: trials of a study, importance of settings, the best of them."""

import shlex
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from dashboards import charts, empty_states, navigation, store, studies, trials
from dashboards.commands import set_options
from dashboards.formatting import format_score
from dashboards.markdown import escape
from dashboards.run_table import run_table
from dashboards.studies import StudyFiles
from tiledseg.tracking.names import (
    BEST_TAG,
    SPEED,
    direction_sign,
    images_metric,
    is_maximized,
)
from tiledseg.tracking.queries import RunSummary
from tiledseg.tuning.results.pareto import find_front

MOST_AXES = 8
FEWEST_TRIALS = 4
"""Complete trials from which on importance is shown: of fewer it is chance."""


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
        objectives = trials.list_objectives(own)
        own_objectives = found[chosen].params.get("study.objectives", "").split(", ")
        objectives.sort(
            key=lambda name: (
                own_objectives.index(name) if name in own_objectives else len(own_objectives)
            )
        )
        if not objectives:
            st.info("No trial has ended with a score yet.")
            return
        objective = navigation.choose("Objective", objectives, "objective", width=260)
    table = trials.make_trial_table(own, objective)
    files = studies.read_study_files(chosen)
    importance = files.importance_for(objective)
    _show_summary(table, objective)
    is_first = objective in own_objectives[:1]  # by which the study chose its best trial
    best_run = found[chosen].tags.get(BEST_TAG, "") if is_first else ""
    _show_best(table, {run.run_id: run for run in own}, objective, files, best_run)
    if objective in store.CURVES and objective not in own_objectives:
        st.caption(f"Of each trial, {escape(objective)} is that of its last epoch.")
    _show_history(table, objective, importance)
    _show_settings(table, list(importance["setting"]) if len(importance) else [])
    second = _choose_second(objectives, objective)
    if second:
        others = {run.run_id: trials.score_of(run, second) for run in own}
        _show_front(trials.select_complete(table), others, objective, second)
    _show_trials(table)


def _show_summary(table: pd.DataFrame, objective: str) -> None:
    counts = table["state"].value_counts()
    parts = [f"{count} {state}" for state, count in counts.items()]
    direction = "larger" if is_maximized(objective) else "smaller"
    st.caption(
        f"{len(table)} trials: {', '.join(parts)}. A {direction} {escape(objective)} is better."
    )


def _show_best(
    table: pd.DataFrame,
    by_id: Mapping[str, RunSummary],
    objective: str,
    files: StudyFiles,
    best_run: str,
) -> None:
    """The best trial, and how to train it in earnest.

    Args:
        table: Trials with their scores.
        by_id: Their runs.
        objective: What the scores are.
        files: Of the study.
        best_run: Of the trial that was the best when the study's last session ended.
    """
    done = trials.select_complete(table)
    if done.empty:
        return
    values = direction_sign(objective) * done["score"]
    first = done[values == values.max()]
    is_up_to_date = best_run in set(first["run_id"])
    best = (first[first["run_id"] == best_run] if is_up_to_date else first).iloc[0]
    run = by_id[str(best["run_id"])]
    with st.container(border=True):
        st.subheader("Best settings", anchor=False)
        names = [name for name in trials.list_settings(table) if not pd.isna(best[name])]
        with st.container(horizontal=True):
            st.metric(escape(objective), format_score(best["score"]), width=190)
            if "/" in objective and (images := run.metrics.get(images_metric(objective))):
                st.metric("images", f"{images:.0f}", width=110)
            st.metric("trial", str(best["number"]), width=110)
            for name in names[:6]:
                st.metric(escape(name.rpartition(".")[2]), _format_value(best[name], 3), width=150)
        if is_up_to_date and files.experiment:
            _show_experiment(run, files)
        else:
            keys = [
                key for key in trials.list_searched_keys(list(by_id.values())) if key in run.params
            ]
            options = set_options({key: run.params[key] for key in keys})
            _show_command(f"tiledseg train --dataset {shlex.quote(run.dataset)} {options}")
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


def _show_experiment(run: RunSummary, files: StudyFiles) -> None:
    """The best experiment as the study wrote it, and how it did when trained in full."""
    name = f"{run.dataset}-best.yaml"
    st.download_button(
        "Its experiment, at full budget (YAML)",
        data=files.experiment,
        file_name=name,
        mime="application/yaml",
        icon=":material/download:",
        on_click="ignore",
    )
    _show_command(f"tiledseg train --experiment {shlex.quote(name)}")
    if not files.retrained.empty:
        final = files.retrained.sort_values("score").iloc[-1]
        st.caption(
            f"Of {len(files.retrained)} trials that were trained in full afterwards, trial "
            f"{final['number']} came out best, with a validation Dice of "
            f"{format_score(final['score'])}."
        )


def _show_command(text: str) -> None:
    st.code(text, language=None, wrap_lines=True)


def _show_history(table: pd.DataFrame, objective: str, importance: pd.DataFrame) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("History", anchor=False)
        chart = charts.history(table, objective, maximize=is_maximized(objective))
        charts.show(chart, f"{objective} of each trial, and the best so far")
        st.caption("Dots: trials. Line: the best complete one so far.")
    with right:
        st.subheader("What mattered", anchor=False)
        if importance.empty or len(trials.select_complete(table)) < FEWEST_TRIALS:
            st.info(
                "The importance of settings for an objective of the study is measured when the "
                "sweep ends, from at least four complete trials."
            )
            return
        chart = charts.bars(importance.head(8), "setting", "share", "share of the importance")
        charts.show(chart, "Importance of each setting for the objective")
        st.caption("For reaching the best tenth of trials (PED-ANOVA), when the sweep last ended.")


def _show_settings(table: pd.DataFrame, ranked: Sequence[str]) -> None:
    """All settings side by side, the most important ones first where that is known."""
    st.subheader("All settings together", anchor=False)
    done = trials.select_complete(table)
    names = trials.list_settings(table)
    names.sort(key=lambda name: ranked.index(name) if name in ranked else len(ranked))
    if not names or len(done) < 2:
        st.info("Two complete trials with a score are needed.")
        return
    chart = charts.parallel(done, names[:MOST_AXES])
    charts.show(chart, "Parallel coordinates: each trial is a line through its settings")


def _choose_second(objectives: Sequence[str], objective: str) -> str:
    """The metric on the other axis; empty where there is no other metric."""
    others = [name for name in objectives if name != objective]
    if not others:
        return ""
    st.subheader("Two objectives", anchor=False)
    usual = f"valid/tiled/{SPEED}"
    others.sort(key=lambda name: name != usual)
    return navigation.choose("Against", others, "against", width=300)


def _show_front(
    table: pd.DataFrame, others: Mapping[str, float], objective: str, second: str
) -> None:
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
    names = [objective, second]
    front = pd.Series(find_front(both[names].to_numpy().tolist(), names), both.index)
    chart = charts.scatter(both, second, objective, front)
    charts.show(chart, f"{objective} against {second}; trials that none beats in both are joined")


def _show_trials(table: pd.DataFrame) -> None:
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
