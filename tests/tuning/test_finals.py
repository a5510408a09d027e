import mlflow
import pytest

from tiledseg.tracking.files import RunFiles
from tiledseg.tuning.finals import FILE, Finalist, choose_finalists, play_finals

VALUES = (0.9, 0.8, 0.7, 0.6)


@pytest.fixture
def ranking(tiny_experiment):
    """Four trials, the best first; the third has the experiment's own settings."""
    return [
        Finalist(number, value, number == 2, tiny_experiment(training={"seed": number}))
        for number, value in enumerate(VALUES)
    ]


@pytest.mark.parametrize(
    ("count", "numbers"),
    [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])],
)
def test_the_own_settings_take_part_where_there_are_several(ranking, count, numbers):
    assert [one.number for one in choose_finalists(ranking, count)] == numbers


def test_without_the_own_trial_the_best_take_part(ranking):
    assert [one.number for one in choose_finalists(ranking[:2], 2)] == [0, 1]


def test_what_is_trained_is_not_trained_again(ranking):
    study = mlflow.MlflowClient().create_run(mlflow.create_experiment("Tiny")).info.run_id
    scores, trained = {0: 0.5, 1: 0.75, 2: 0.625}, []

    def train(finalist):
        if finalist.number == 2 and len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(finalist.number)
        return f"run{finalist.number}", scores[finalist.number]

    with pytest.raises(KeyboardInterrupt):
        play_finals(ranking[:3], study, train)
    trained.clear()
    finals = play_finals(ranking[:3], study, train)
    assert trained == [2]
    assert [(final.number, final.score) for final in finals] == [(1, 0.75), (2, 0.625), (0, 0.5)]
    assert [final.run_id for final in finals] == ["run1", "run2", "run0"]
    assert len(RunFiles(study).path(FILE).read_text().splitlines()) == 4
