"""Making a study in a storage, or joining one that has the same definition."""

import uuid
from typing import Any

import optuna

from tiledseg.config.format_version import FORMAT_VERSION, require_format
from tiledseg.errors import ExperimentError, SweepError
from tiledseg.tracking.names import FORMAT_TAG, STUDY_ID_TAG
from tiledseg.tuning.execution import retries
from tiledseg.tuning.study.definition import StudyDefinition, list_differences

DEFINITION = "tiledseg.definition"
_MOST_NAMED = 3


def join_study(storage: Any, name: str, definition: StudyDefinition) -> optuna.Study:
    """Make a study, or load it where it exists. To be called under the study's lock.

    The experiment's own settings are its trial 0, and the source experiment's trial 1.

    Raises:
        SweepError: There is a study of that name with another definition.
        FormatError: Another version of tiledseg made it, in another form.
    """
    known = {study.study_name: study for study in storage.get_all_studies()}
    if name in known:
        study = optuna.load_study(study_name=name, storage=storage)
    else:
        directions = [objective.direction for objective in definition.objectives]
        study = optuna.create_study(study_name=name, storage=storage, directions=directions)
    if DEFINITION not in study.user_attrs and not study.get_trials(deepcopy=False):
        study.set_user_attr(STUDY_ID_TAG, uuid.uuid4().hex)
        study.set_user_attr(FORMAT_TAG, FORMAT_VERSION)
        study.set_user_attr(DEFINITION, definition.content())
    _check_same(study, definition)
    _enqueue_initial_trials(study, definition)
    return study


def load_definition(study: optuna.Study) -> StudyDefinition:
    """What a study that we made is about."""
    return StudyDefinition.restore(study.user_attrs[DEFINITION], f"study {study.study_name}")


def study_id(study: optuna.Study) -> str:
    """What tells a study from others of its name."""
    return str(study.user_attrs[STUDY_ID_TAG])


def _check_same(study: optuna.Study, definition: StudyDefinition) -> None:
    attributes = study.user_attrs
    if DEFINITION not in attributes:
        raise SweepError(
            f"study {study.study_name} was not made by tiledseg; "
            "give another name with --study, or another --storage"
        )
    require_format(attributes.get(FORMAT_TAG), f"study {study.study_name}")
    try:
        changed = list_differences(attributes[DEFINITION], definition.content())
    except ExperimentError as error:
        raise SweepError(
            f"study {study.study_name} was made by another version of tiledseg ({error}); "
            "begin a new study with --study NAME"
        ) from None
    if not changed:
        return
    more = f" and {len(changed) - _MOST_NAMED} more" if len(changed) > _MOST_NAMED else ""
    raise SweepError(
        f"study {study.study_name} was made with another space, experiment or objective, and "
        f"its trials cannot be compared with new ones: {'; '.join(changed[:_MOST_NAMED])}{more}; "
        "put that back, or begin a new study with --study NAME"
    )


def _enqueue_initial_trials(study: optuna.Study, definition: StudyDefinition) -> None:
    """Queue what is tried before the search begins, once."""
    queued = {trial.user_attrs.get(retries.ORIGIN) for trial in study.get_trials(deepcopy=False)}
    for origin, values in definition.initial_trials.items():
        if origin not in queued:
            stored = definition.space.to_storage(values)
            study.enqueue_trial(stored, user_attrs={retries.ORIGIN: origin})
