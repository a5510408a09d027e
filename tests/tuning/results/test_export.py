import pytest

from tiledseg.config.experiment import load_experiment
from tiledseg.errors import OutputError
from tiledseg.tuning.results.export import apply_trial, export_experiment
from tiledseg.tuning.search.objectives import parse_objectives
from tiledseg.tuning.study.definition import StudyDefinition

LISTS = """
parameters:
  training.clipnorm: {type: categorical, choices: [null, 1.0]}
  model.base_filters: {type: int, low: 4, high: 8}
trial: {training.epochs: 1}
"""


@pytest.fixture
def definition(space_of, tiny_experiment):
    return StudyDefinition(
        tiny_experiment(), space_of(LISTS), parse_objectives(["valid/tiled/dice"])
    )


def test_the_best_experiment_has_the_full_budget(definition):
    found = apply_trial(definition, {"training.clipnorm": None, "model.base_filters": 6})
    assert found.training.clipnorm is None
    assert found.model.base_filters == 6
    assert found.training.epochs == definition.experiment.training.epochs == 2
    assert definition.trial_base.training.epochs == 1


def test_nothing_is_overwritten_and_the_same_is_not_written_twice(tmp_path, tiny_experiment):
    first, second = tiny_experiment(), tiny_experiment(training={"epochs": 7})
    (tmp_path / "Tiny-best-2.yaml").write_text("mine, and no experiment")
    assert export_experiment(first, tmp_path, "one\ntwo").name == "Tiny-best.yaml"
    assert export_experiment(second, tmp_path, "").name == "Tiny-best-3.yaml"
    assert export_experiment(first, tmp_path, "").name == "Tiny-best.yaml"
    assert export_experiment(second, tmp_path, "").name == "Tiny-best-3.yaml"
    assert (tmp_path / "Tiny-best-2.yaml").read_text() == "mine, and no experiment"
    assert load_experiment(tmp_path / "Tiny-best.yaml") == first
    assert (tmp_path / "Tiny-best.yaml").read_text().startswith("# one\n# two\n")


def test_a_folder_that_cannot_be_written(tmp_path, tiny_experiment):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        export_experiment(tiny_experiment(), tmp_path / "file" / "inside", "")
