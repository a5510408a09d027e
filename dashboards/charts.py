"""Charts: curves, scores, sweeps. Data in, a Vega-Lite specification out.

The specifications are written by hand and checked against Vega-Lite's schema by the tests: built
by Altair, which checks every time, three charts took half a second of a page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboards.colors import SERIES
from dashboards.trials import STATES

HEIGHT = 260
DECADES = 20
"""A setting whose values span a larger factor is placed by its logarithm."""

Spec = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """A table and how it is drawn."""

    data: pd.DataFrame
    spec: Spec


def show(chart: Chart, alt: str, key: str | None = None) -> None:
    """Draw a chart, as wide as there is room.

    Args:
        chart: What is drawn.
        alt: The chart in words, for those who cannot see it.
        key: Keeps a chart in its place when its data change.
    """
    st.vega_lite_chart(chart.data, chart.spec, alt=alt, key=key)


def curves(
    table: pd.DataFrame,
    *,
    title: str = "",
    height: int = HEIGHT,
    epoch: int | None = None,
    best: int | None = None,
    series: str = "metric",
) -> Chart:
    """Values over epochs, one line for each series.

    Args:
        table: Columns ``epoch``, ``value`` and the one that ``series`` names.
        title: Above the chart.
        height: In pixels.
        epoch: Marked by a line: the epoch that is looked at.
        best: Marked by a dotted line: the epoch whose weights were kept.
        series: Column that tells lines apart.
    """
    names = list(dict.fromkeys(table[series]))
    encoding: Spec = {
        "x": {**_number("epoch", "epoch"), "axis": {"tickMinStep": 1, "format": "d"}},
        "y": {**_number("value", None), "scale": {"zero": False}},
        "color": {
            **_word(series),
            "sort": names,
            "scale": {"domain": names, "range": _colors(len(names))},
            "legend": None if len(names) == 1 else {**_legend(), "labelLimit": 260},
        },
        "tooltip": [_word(series), _number("epoch"), {**_number("value"), "format": ".4f"}],
    }
    layers: list[Spec] = [
        {"mark": {"type": "line", "strokeWidth": 2.2}, "encoding": encoding},
        {"mark": {"type": "point", "size": 34, "filled": True}, "encoding": encoding},
    ]
    for at, pattern in ((best, [2, 3]), (epoch, [1, 0])):
        if at is not None:
            mark = {"type": "rule", "strokeDash": pattern, "color": "#8a8a8a", "strokeWidth": 2}
            place = {"x": _number("epoch")}
            layers.append({"data": {"values": [{"epoch": at}]}, "mark": mark, "encoding": place})
    heading = {"title": title} if title else {}
    return Chart(table, {"layer": layers, "height": height, **heading})


def history(trials: pd.DataFrame, title: str, *, maximize: bool = True) -> Chart:
    """Scores of trials in the order they ran, and the best so far.

    Args:
        trials: Columns ``number``, ``score``, ``state`` and ``name``.
        title: What the score is.
        maximize: Whether more is better.
    """
    done = trials.dropna(subset=["score"]).sort_values("number").copy()
    scores = done["score"].where(done["state"] == "complete")  # the others do not compete
    done["best"] = (scores.cummax() if maximize else scores.cummin()).ffill()
    x = {**_number("number", "trial"), "axis": {"tickMinStep": 1, "format": "d"}}
    states = list(STATES)
    line: Spec = {
        "mark": {
            "type": "line",
            "interpolate": "step-after",
            "color": SERIES[1],
            "strokeWidth": 2,
        },
        "encoding": {"x": x, "y": {**_number("best", title), "scale": {"zero": False}}},
    }
    points: Spec = {
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 0.85},
        "encoding": {
            "x": x,
            "y": {**_number("score", title), "scale": {"zero": False}},
            "color": {
                **_word("state"),
                "legend": _legend(),
                "scale": {"domain": states, "range": [SERIES[i] for i in (0, 7, 2, 1, 4)]},
            },
            "tooltip": [
                _word("name"),
                _number("number"),
                {**_number("score"), "format": ".4f"},
                _word("state"),
            ],
        },
    }
    return Chart(done, {"layer": [line, points], "height": HEIGHT})


def bars(table: pd.DataFrame, name: str, value: str, title: str) -> Chart:
    """Horizontal bars, the longest first."""
    spec: Spec = {
        "mark": {"type": "bar", "color": SERIES[0], "cornerRadiusEnd": 3},
        "encoding": {
            "x": _number(value, title),
            "y": {
                **_word(name),
                "title": None,
                "sort": "-x",
                "axis": {"labelLimit": 240, "labelOverlap": False},
            },
            "tooltip": [_word(name), {**_number(value), "format": ".3f"}],
        },
        "height": 90 + 34 * len(table),  # the axis and its title are part of it
    }
    return Chart(table, spec)


def parallel(trials: pd.DataFrame, settings: Sequence[str], score: str = "score") -> Chart:
    """Every trial as a line through its settings; the better, the brighter.

    Numbers are placed between the smallest and the largest value, by their logarithm where they
    span decades; words in their order.

    Args:
        trials: A column for each setting, ``number`` and the score.
        settings: Columns from left to right; the score is put last.
        score: Name of the score's column.
    """
    done = trials.dropna(subset=[score])
    columns = [*settings, score]
    rows = []
    for column in columns:
        place, shown = _place(done[column])
        for number, result, at, text in zip(done["number"], done[score], place, shown, strict=True):
            rows.append(
                {"trial": number, "score": result, "setting": column, "at": at, "value": text}
            )
    encoding: Spec = {
        "x": {
            **_word("setting"),
            "title": None,
            "sort": columns,
            "axis": {"labelAngle": -20, "labelLimit": 200},
        },
        "y": {**_number("at"), "axis": None},
        "color": {
            **_number("score"),
            "scale": {"scheme": "viridis"},
            "legend": {"title": "objective"},
        },
        "detail": _word("trial"),
        "tooltip": [
            _number("trial"),
            _word("setting"),
            _word("value"),
            {**_number("score"), "format": ".4f"},
        ],
    }
    layers = [
        {"mark": {"type": "line", "strokeWidth": 2, "opacity": 0.7}, "encoding": encoding},
        {"mark": {"type": "point", "filled": True, "size": 55}, "encoding": encoding},
    ]
    table = pd.DataFrame(rows, columns=["trial", "score", "setting", "at", "value"])
    return Chart(table, {"layer": layers, "height": HEIGHT + 80})


def scatter(trials: pd.DataFrame, x: str, y: str, front: pd.Series) -> Chart:
    """Trials by two scores, those that no other trial beats in both joined by a line."""
    shown = trials.assign(
        front=front.map({True: "Pareto front", False: "dominated"}),
        step=trials[y].where(front),  # the line leaves the others out
    )
    places = {
        "x": {**_number(_escape(x), x), "scale": {"zero": False}},
        "y": {**_number(_escape(y), y), "scale": {"zero": False}},
    }
    line: Spec = {
        "mark": {"type": "line", "color": SERIES[1], "interpolate": "step-after"},
        "transform": [{"filter": "isValid(datum.step)"}],
        "encoding": places,
    }
    points: Spec = {
        "mark": {"type": "point", "filled": True, "size": 80},
        "encoding": {
            **places,
            "color": {
                **_word("front"),
                "legend": _legend(),
                "scale": {
                    "domain": ["Pareto front", "dominated"],
                    "range": [SERIES[1], SERIES[7]],
                },
            },
            "tooltip": [_word("name")],
        },
    }
    return Chart(shown.sort_values(x), {"layer": [line, points], "height": HEIGHT + 40})


def _number(field: str, *title: str | None) -> Spec:
    """A column of numbers, with a title where one is given; None leaves it out."""
    return {"field": field, "type": "quantitative", **({"title": title[0]} if title else {})}


def _word(field: str) -> Spec:
    return {"field": field, "type": "nominal"}


def _legend() -> Mapping[str, Any]:
    return {"title": None, "orient": "top"}


def _colors(count: int) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(count)]


def _place(column: pd.Series) -> tuple[list[float], list[str]]:
    """Places between 0 and 1, and the values as words."""
    numbers = pd.to_numeric(column, errors="coerce")
    words = [str(value) for value in column]
    if numbers.notna().all():
        if numbers.min() > 0 and numbers.max() / numbers.min() > DECADES:
            numbers = np.log(numbers)
        low, high = float(numbers.min()), float(numbers.max())
        span = high - low
        return [float(value - low) / span if span else 0.5 for value in numbers], words
    order = {word: i for i, word in enumerate(sorted(set(words)))}
    most = max(1, len(order) - 1)
    return [order[word] / most for word in words], words


def _escape(name: str) -> str:
    """A column's name as Vega-Lite reads it."""
    return name.replace(".", r"\.").replace("[", r"\[").replace("]", r"\]").replace(":", r"\:")
