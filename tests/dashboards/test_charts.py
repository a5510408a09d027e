"""Every chart is Vega-Lite that its schema allows, and draws columns that its table has."""

from collections.abc import Iterator
from typing import Any

import altair
import pandas as pd
import pytest
from jsonschema.exceptions import ValidationError

from dashboards import charts
from dashboards.charts import Chart

EPOCHS = pd.DataFrame(
    {
        "epoch": [1, 2, 3, 1, 2, 3],
        "metric": ["dice"] * 3 + ["val_dice"] * 3,
        "value": [0.1, 0.5, 0.7, 0.2, 0.4, 0.6],
    }
)
TRIALS = pd.DataFrame(
    {
        "number": [0, 1, 2, 3],
        "name": ["a", "b", "c", "d"],
        "state": ["complete", "pruned", "complete", "complete"],
        "score": [0.5, None, 0.7, 0.6],
        "model.base_filters": [8, 16, 32, 16],
        "training.loss": ["bce", "dice", "dice", "bce"],
        "valid/tiled/seconds_per_megapixel": [0.2, 0.1, 0.5, 0.3],
    }
)
FRONT = pd.Series([True, False, True, False])
SECONDS = "valid/tiled/seconds_per_megapixel"
DRAWN = {
    "curves": charts.curves(EPOCHS),
    "one curve": charts.curves(EPOCHS.head(3), title="Dice", height=100),
    "curves with marks": charts.curves(EPOCHS, epoch=2, best=3),
    "history": charts.history(TRIALS, "valid/tiled/dice"),
    "bars": charts.bars(
        pd.DataFrame({"setting": ["x", "y"], "share": [0.7, 0.3]}), "setting", "share", "share"
    ),
    "parallel": charts.parallel(TRIALS, ["model.base_filters", "training.loss"]),
    "scatter": charts.scatter(TRIALS, SECONDS, "score", FRONT),
}


def parts(spec: dict[str, Any], columns: set[str]) -> Iterator[tuple[str, set[str]]]:
    """Every field that is drawn, and the columns that are there to draw it from."""
    values = spec.get("data", {}).get("values")
    columns = set(values[0]) if values else columns
    for layer in spec.get("layer", []):
        yield from parts(layer, columns)
    for channel in spec.get("encoding", {}).values():
        for one in channel if isinstance(channel, list) else [channel]:
            yield one["field"].replace("\\", ""), columns


@pytest.mark.parametrize("name", DRAWN)
def test_the_schema_allows_it(name):
    altair.Chart.from_dict(DRAWN[name].spec | {"data": {"name": "table"}}, validate=True)


def test_the_schema_would_refuse_a_slip():
    spec = {"mark": "line", "encoding": {"x": {"field": "epoch", "type": "number"}}}
    with pytest.raises(ValidationError):
        altair.Chart.from_dict(spec, validate=True)


@pytest.mark.parametrize("name", DRAWN)
def test_it_draws_columns_of_its_table(name):
    chart: Chart = DRAWN[name]
    drawn = list(parts(chart.spec, set(chart.data)))
    assert drawn
    assert not [field for field, columns in drawn if field not in columns]


def test_who_does_not_compete_is_never_the_best_so_far():
    trials = pd.DataFrame(
        {
            "number": [0, 1, 2, 3],
            "score": [0.5, 0.9, 0.8, 0.6],
            "state": ["complete", "pruned", "infeasible", "complete"],
            "name": list("abcd"),
        }
    )
    assert charts.history(trials, "dice").data["best"].tolist() == [0.5, 0.5, 0.5, 0.6]


def test_the_best_so_far_only_rises():
    chart = charts.history(TRIALS, "valid/tiled/dice")
    assert chart.data["best"].tolist() == [0.5, 0.7, 0.7]
    falling = charts.history(TRIALS.assign(score=[0.5, None, 0.7, 0.6]), "loss", maximize=False)
    assert falling.data["best"].tolist() == [0.5, 0.5, 0.5]


def test_settings_lie_between_their_smallest_and_largest():
    rows = charts.parallel(TRIALS, ["model.base_filters", "training.loss"]).data
    assert rows["at"].between(0, 1).all()
    filters = rows[rows["setting"] == "model.base_filters"].set_index("trial")["at"]
    assert filters.to_dict() == {0: 0.0, 2: 1.0, 3: pytest.approx(1 / 3)}
