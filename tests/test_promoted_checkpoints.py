"""A checkpoint that is promoted before its training has ended."""

import mlflow
import numpy as np
import pytest

from tiledseg import train
from tiledseg.errors import StoppedError
from tiledseg.images.reading import read_image
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.checkpoint_summaries import read_checkpoints
from tiledseg.tracking.names import CHAMPION, LATEST, THRESHOLD_TAG
from tiledseg.tracking.promotion import Promotion, promote_checkpoint
from tiledseg.tracking.registry import Registration, load_predictor
from tiledseg.training.stopping import StopRequest

pytestmark = pytest.mark.usefixtures("own_tables")


class Stop:
    """Ends a training after an epoch, or in its evaluation."""

    def __init__(self, after: int | None = None) -> None:
        self.request, self._after = StopRequest(), after
        self.run_id = ""

    def on_run_start(self, run_id):
        self.run_id = run_id

    def on_dataset(self, dataset, summary): ...

    def on_batch_end(self, epoch, batch, batches, metrics): ...

    def on_epoch_end(self, report):
        if report.epoch == self._after:
            self.request.set()

    def on_saved(self, saved): ...

    def on_epoch_masks(self, picture): ...

    def on_image(self, evaluation):
        raise KeyboardInterrupt


@pytest.fixture
def experiment(tiny_experiment):
    training = {"epochs": 8, "monitor": "val_loss", "tune_threshold": True, "epoch_pictures": 0}
    return tiny_experiment(
        training=training, tracking={"checkpoints": 1}, evaluation={"seam_images": 0}
    )


def scored(dice):
    return ValidationScore(dice, 2, ("foreground",))


def champion():
    return mlflow.MlflowClient().get_model_version_by_alias("Tiny", CHAMPION)


@pytest.mark.soak
def test_it_never_falls_out_of_the_best_when_the_training_goes_on(tiny_dataset, experiment):
    image = read_image(tiny_dataset() / "test" / "images" / "disc6.png")
    stop = Stop(after=2)
    with pytest.raises(StoppedError):
        train(experiment, [stop], stop=stop.request)
    (kept,) = read_checkpoints(stop.run_id)
    assert (kept.threshold, kept.is_tuned) == (0.5, False)
    assert promote_checkpoint(stop.run_id, kept.epoch, "Tiny", scored(0.9999)) == Promotion(
        "1", None
    )
    before = load_predictor("models:/Tiny@champion")
    assert before.threshold == 0.5

    result = train(experiment, resume=stop.run_id)

    assert result.best_epoch > 2, "or it tests nothing"
    listed = {each.epoch: each for each in read_checkpoints(stop.run_id)}
    assert set(listed) == {kept.epoch, result.best_epoch}
    assert listed[kept.epoch].model_id == kept.model_id
    after = load_predictor("models:/Tiny@champion")
    assert after.threshold == 0.5
    assert np.array_equal(after.probability(image), before.probability(image))
    of_epoch = load_predictor(f"runs:/{stop.run_id}@epoch={kept.epoch}")
    assert np.array_equal(after.probability(image), of_epoch.probability(image))
    assert result.registration == Registration("Tiny", "2", is_champion=False)
    assert listed[result.best_epoch].is_tuned
    best = load_predictor("models:/Tiny/2")
    assert best.threshold == listed[result.best_epoch].threshold
    latest = mlflow.MlflowClient().get_model_version_by_alias("Tiny", LATEST)
    assert str(latest.version) == "2"


@pytest.mark.soak
def test_the_best_gets_its_threshold_and_score_when_the_training_ends(tiny_dataset, experiment):
    tiny_dataset()
    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        train(experiment.override({"training.epochs": 2}), [stop])
    (kept,) = read_checkpoints(stop.run_id)
    promote_checkpoint(stop.run_id, kept.epoch, "Tiny", scored(0.001))
    result = train(experiment.override({"training.epochs": 2}), resume=stop.run_id)
    assert result.best_epoch == kept.epoch
    assert result.registration == Registration("Tiny", "1", is_champion=True)
    tags = champion().tags
    dice = result.metrics["valid/tiled/dice"]
    assert ValidationScore.from_tags(tags).dice == pytest.approx(dice, abs=1e-6)
    threshold = load_predictor("models:/Tiny@champion").threshold
    assert float(tags[THRESHOLD_TAG]) == pytest.approx(threshold, abs=1e-6)
    (listed,) = read_checkpoints(stop.run_id)
    assert (listed.threshold, listed.is_tuned) == (threshold, True)
