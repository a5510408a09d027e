"""Every picture of a study is drawn, whatever its parameters are."""

import cv2
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from tiledseg.tuning.results.importance import measure_importance
from tiledseg.tuning.results.plots import draw_study

SPACE = {
    "model.base_filters": IntDistribution(8, 24, step=4),
    "training.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "training.loss": CategoricalDistribution(["bce", "dice"]),
}


@pytest.fixture
def study():
    study = optuna.create_study(direction="maximize")
    for number in range(6):
        pruned = number == 3
        study.add_trial(
            create_trial(
                params={
                    "model.base_filters": 8 + 4 * (number % 3),
                    "training.learning_rate": 1e-4 * 2**number,
                    "training.loss": ["bce", "dice"][number % 2],
                },
                distributions=SPACE,
                value=None if pruned else 0.5 + number / 20,
                state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
                intermediate_values={1: 0.1 * number, 2: 0.11 * number},
            )
        )
    return study


def draw(study, names, folder):
    return draw_study(study, names, measure_importance(study, names), folder)


def test_one_objective(study, tmp_path):
    files = draw(study, ["valid/tiled/dice"], tmp_path)
    kinds = {"history", "importance", "slices", "parallel", "epochs"}
    assert {path.stem for path in files} == kinds
    for path in files:
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.std() > 5, f"{path.stem} is blank"


def test_epochs_are_drawn_as_they_scored_where_less_is_better(tmp_path, monkeypatch):
    study = optuna.create_study(direction="minimize")
    study.add_trial(create_trial(value=0.5, intermediate_values={1: -0.25, 2: -0.75}))
    drawn = []
    monkeypatch.setattr(
        optuna.visualization.matplotlib,
        "plot_intermediate_values",
        lambda kept: drawn.append(kept.trials[0].intermediate_values),
    )
    with pytest.raises(AttributeError):  # nothing came back to be saved
        draw(study, ["valid/tiled/seconds_per_megapixel"], tmp_path)
    assert drawn == [{1: 0.25, 2: 0.75}]


def test_nothing_is_drawn_before_a_trial_is_complete(tmp_path):
    study = optuna.create_study(direction="maximize")
    assert draw(study, ["valid/tiled/dice"], tmp_path) == []
