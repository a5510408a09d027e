"""Charts: curves, scores, sweeps. Data in, an Altair chart out."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboards.colours import SERIES

HEIGHT = 260
AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart
DECADES = 20
"""A setting whose values span a larger factor is placed by its logarithm."""


def curves(
    table: pd.DataFrame,
    *,
    epoch: int | None = None,
    best: int | None = None,
    series: str = "metric",
) -> AnyChart:
    """Values over epochs, one line for each series.

    Args:
        table: Columns ``epoch``, ``value`` and the one that ``series`` names.
        epoch: Marked by a line: the epoch that is looked at.
        best: Marked by a dotted line: the epoch whose weights were kept.
        series: Column that tells lines apart.
    """
    names = list(dict.fromkeys(table[series]))
    colour = alt.Color(
        f"{series}:N",
        sort=names,
        scale=alt.Scale(domain=names, range=[SERIES[i % len(SERIES)] for i in range(len(names))]),
        legend=None if len(names) == 1 else alt.Legend(title=None, orient="top", labelLimit=260),
    )
    base = alt.Chart(table).encode(
        x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d")),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
        color=colour,
        tooltip=[series, "epoch", alt.Tooltip("value:Q", format=".4f")],
    )
    layers: list[alt.Chart] = [base.mark_line(strokeWidth=2.2)]
    layers.append(base.mark_point(size=34, filled=True))
    for at, pattern in ((best, [2, 3]), (epoch, [1, 0])):
        if at is not None:
            rule = alt.Chart(pd.DataFrame({"epoch": [at]})).mark_rule(
                strokeDash=pattern, color="#8a8a8a", strokeWidth=2
            )
            layers.append(rule.encode(x="epoch:Q"))
    return alt.layer(*layers).properties(height=HEIGHT)


def history(trials: pd.DataFrame, title: str, *, maximize: bool = True) -> AnyChart:
    """Scores of trials in the order they ran, and the best so far.

    Args:
        trials: Columns ``number``, ``score``, ``state`` and ``name``.
        title: What the score is.
        maximize: Whether more is better.
    """
    done = trials.dropna(subset=["score"]).sort_values("number").copy()
    done["best"] = done["score"].cummax() if maximize else done["score"].cummin()
    x = alt.X("number:Q", title="trial", axis=alt.Axis(tickMinStep=1, format="d"))
    points = (
        alt.Chart(done)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            x=x,
            y=alt.Y("score:Q", title=title, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "state:N",
                legend=alt.Legend(title=None, orient="top"),
                scale=alt.Scale(
                    domain=["complete", "pruned", "running", "failed"],
                    range=[SERIES[0], SERIES[7], SERIES[2], SERIES[1]],
                ),
            ),
            tooltip=["name", "number", alt.Tooltip("score:Q", format=".4f"), "state"],
        )
    )
    line = alt.Chart(done).mark_line(interpolate="step-after", color=SERIES[1], strokeWidth=2)
    return alt.layer(line.encode(x=x, y="best:Q"), points).properties(height=HEIGHT)


def bars(table: pd.DataFrame, name: str, value: str, title: str) -> AnyChart:
    """Horizontal bars, the longest first."""
    chart: alt.Chart = (
        alt.Chart(table)
        .mark_bar(color=SERIES[0], cornerRadiusEnd=3)
        .encode(
            x=alt.X(f"{value}:Q", title=title),
            y=alt.Y(
                f"{name}:N",
                sort="-x",
                title=None,
                axis=alt.Axis(labelLimit=240, labelOverlap=False),
            ),
            tooltip=[name, alt.Tooltip(f"{value}:Q", format=".3f")],
        )
        .properties(height=90 + 34 * len(table))  # the axis and its title are part of it
    )
    return chart


def parallel(trials: pd.DataFrame, settings: Sequence[str], score: str = "score") -> AnyChart:
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
        place, shown = _placed(done[column])
        for number, result, at, text in zip(done["number"], done[score], place, shown, strict=True):
            rows.append(
                {"trial": number, "score": result, "setting": column, "at": at, "value": text}
            )
    chart = alt.Chart(pd.DataFrame(rows))
    encoded = chart.encode(
        x=alt.X(
            "setting:N", sort=columns, title=None, axis=alt.Axis(labelAngle=-20, labelLimit=200)
        ),
        y=alt.Y("at:Q", axis=None),
        color=alt.Color(
            "score:Q", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(title="objective")
        ),
        detail="trial:N",
        tooltip=["trial", "setting", "value", alt.Tooltip("score:Q", format=".4f")],
    )
    lines = encoded.mark_line(strokeWidth=2, opacity=0.7)
    points = encoded.mark_point(filled=True, size=55)
    return alt.layer(lines, points).properties(height=HEIGHT + 80)


def scatter(trials: pd.DataFrame, x: str, y: str, front: pd.Series) -> AnyChart:
    """Trials by two scores, those that no other trial beats in both joined by a line."""
    shown = trials.assign(front=front.map({True: "not beaten in both", False: "beaten"}))
    points = (
        alt.Chart(shown)
        .mark_point(filled=True, size=80)
        .encode(
            x=alt.X(f"{_escaped(x)}:Q", title=x, scale=alt.Scale(zero=False)),
            y=alt.Y(f"{_escaped(y)}:Q", title=y, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "front:N",
                legend=alt.Legend(title=None, orient="top"),
                scale=alt.Scale(
                    domain=["not beaten in both", "beaten"], range=[SERIES[1], SERIES[7]]
                ),
            ),
            tooltip=["name:N"],
        )
    )
    line = (
        alt.Chart(shown[front].sort_values(x))
        .mark_line(color=SERIES[1], interpolate="step-after")
        .encode(x=f"{_escaped(x)}:Q", y=f"{_escaped(y)}:Q")
    )
    return alt.layer(line, points).properties(height=HEIGHT + 40)


def _placed(column: pd.Series) -> tuple[list[float], list[str]]:
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


def _escaped(name: str) -> str:
    """A column's name as Vega-Lite reads it."""
    return name.replace(".", r"\.").replace("[", r"\[").replace("]", r"\]").replace(":", r"\:")
