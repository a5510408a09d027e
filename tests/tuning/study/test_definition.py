import pytest

from tiledseg.tuning.search.objectives import parse_objectives
from tiledseg.tuning.study.definition import StudyDefinition, list_differences

SPACE = """
parameters:
  model.base_filters: {type: int, low: 4, high: 8}
trial: {training.epochs: 1}
"""


@pytest.fixture
def definition(space_of, tiny_experiment):
    return StudyDefinition(
        tiny_experiment(), space_of(SPACE), parse_objectives(["valid/tiled/dice"])
    )


def test_a_definition_comes_back_from_the_storage(definition, changed, tiny_experiment):
    content = definition.content()
    back = StudyDefinition.restore(content, "study s")
    assert list_differences(content, back.content()) == []
    assert back.experiment == definition.experiment
    assert back.trial_base == definition.trial_base
    other = changed(definition, experiment=tiny_experiment(model={"base_filters": 8}))
    assert list_differences(content, other.content()) == [
        "experiment: model.base_filters was 4, is 8"
    ]


@pytest.mark.parametrize(
    ("full", "trial", "likely"),
    [
        ({"epochs": 60}, {}, 60),
        ({"epochs": 60}, {"training.epochs": 9}, 9),
        ({"epochs": 60, "max_minutes": 24}, {}, 30),
        ({"epochs": 60, "max_minutes": 24}, {"training.max_minutes": 4}, 5),
        ({"epochs": 60, "max_minutes": 24}, {"training.epochs": 6}, 3),
        ({"epochs": 60}, {"training.max_minutes": 4}, 30),
        ({"epochs": 12, "max_minutes": 4}, {"training.max_minutes": 0.1}, 1),
    ],
)
def test_how_far_a_trial_is_likely_to_come(
    definition, changed, tiny_experiment, full, trial, likely
):
    space = changed(definition.space, trial=trial)
    experiment = tiny_experiment(training=full)
    assert changed(definition, experiment=experiment, space=space).likely_epochs == likely
