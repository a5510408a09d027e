import re

import pytest

from tiledseg.errors import SweepError
from tiledseg.tuning.search.objectives import parse_objectives
from tiledseg.tuning.study.definition import StudyDefinition
from tiledseg.tuning.study.storage import check_url, open_storage
from tiledseg.tuning.study.study import DEFINITION, join_study, study_id


@pytest.fixture
def storage(tmp_path):
    return open_storage(check_url(f"sqlite:///{tmp_path}/sweeps.db"))


@pytest.fixture
def definition(space_of, tiny_experiment):
    return StudyDefinition(tiny_experiment(), space_of(), parse_objectives(["valid/tiled/dice"]))


def test_who_comes_later_joins(storage, definition):
    first, second = (join_study(storage, "s", definition) for _ in range(2))
    assert study_id(first) == study_id(second)
    assert [trial.user_attrs["origin"] for trial in second.get_trials()] == ["experiment"]
    assert study_id(join_study(storage, "t", definition)) != study_id(first)


def test_a_study_goes_on_although_a_setting_is_new_since(storage, definition):
    study = join_study(storage, "s", definition)
    content = definition.content()
    older = re.sub(r"\n  patience: \d+", "", content["experiment"])
    assert older != content["experiment"]
    study.set_user_attr(DEFINITION, {**content, "experiment": older})
    assert study_id(join_study(storage, "s", definition)) == study_id(study)


def test_a_study_with_settings_that_are_gone_is_refused(storage, definition):
    study = join_study(storage, "s", definition)
    content = definition.content()
    gone = re.sub(r"\n  patience:", "\n  forbearance:", content["experiment"])
    study.set_user_attr(DEFINITION, {**content, "experiment": gone})
    with pytest.raises(SweepError, match=r"another version.*forbearance.*--study"):
        join_study(storage, "s", definition)
