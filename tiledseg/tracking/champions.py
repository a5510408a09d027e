"""Which version of a model is the champion: the best on validation images.

A mean over classes says nothing of a class that no validation image has. So a version whose
validation images have more classes goes before one whose images have fewer, whatever their means;
of as many, the better mean Dice decides, and of equal ones the earlier version.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.errors import RegistryError
from tiledseg.tracking.names import (
    CHAMPION,
    CHAMPION_METRIC,
    CLASSES_TAG,
    FORMAT_TAG,
    MODES,
    final_metric,
    images_metric,
)
from tiledseg.tracking.store import connect, store_errors

_MOST_VERSIONS = 10_000
_IMAGES_TAG = images_metric(CHAMPION_METRIC)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ValidationScore:
    """What the versions of a model are compared by.

    Attributes:
        dice: ``valid/tiled/dice``; None where no validation image has one.
        images: How many have one.
        classes: Names of the classes that the targets of the validation images have, the
            background left out. One that is only predicted, wrongly, lowers the mean, and is none
            of these.
    """

    dice: float | None
    images: int
    classes: Sequence[str]

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, float], classes: Sequence[str]) -> Self:
        """The score of a run.

        Args:
            metrics: Its final metrics.
            classes: Names of the labels from 0, the background; two are one class.
        """
        shown = classes[1:]
        if len(classes) > 2:
            recall = {name: final_metric("valid", MODES[0], f"recall/{name}") for name in shown}
            shown = [name for name in shown if recall[name] in metrics]
        images = int(metrics.get(images_metric(CHAMPION_METRIC), 0))
        return cls(metrics.get(CHAMPION_METRIC), images, tuple(shown))

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Self | None:
        """The score in the tags of a version; None where it has none, or counts in another way."""
        if tags.get(FORMAT_TAG) != str(FORMAT_VERSION) or CHAMPION_METRIC not in tags:
            return None
        classes = json.loads(tags.get(CLASSES_TAG, "[]"))
        return cls(float(tags[CHAMPION_METRIC]), int(tags.get(_IMAGES_TAG, 0)), tuple(classes))

    def tags(self) -> dict[str, str]:
        """Tags of a version that ``from_tags`` reads."""
        dice = {} if self.dice is None else {CHAMPION_METRIC: f"{self.dice:.6f}"}
        classes = json.dumps(list(self.classes), ensure_ascii=False)
        return {
            **dice,
            _IMAGES_TAG: str(self.images),
            CLASSES_TAG: classes,
            FORMAT_TAG: str(FORMAT_VERSION),
        }

    @property
    def rank(self) -> tuple[int, float]:
        """Greater for the better one."""
        return len(self.classes), -1.0 if self.dice is None else self.dice

    def __str__(self) -> str:
        dice = "none" if self.dice is None else f"{self.dice:.4f}"
        return f"{CHAMPION_METRIC} {dice} ({_count_classes(self.classes)}, {self.images} images)"


def find_champion(client: mlflow.MlflowClient, name: str) -> str | None:
    """The version that is champion, or None where none is yet."""
    try:
        held = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise  # a server that stumbles has a champion all the same
        return None
    return str(held[CHAMPION]) if CHAMPION in held else None


def champion_score(client: mlflow.MlflowClient, name: str) -> ValidationScore | None:
    """The champion's score; None where there is no champion, or it has no score."""
    champion = find_champion(client, name)
    return None if champion is None else read_scores(client, name).get(champion)


def promote_if_best(client: mlflow.MlflowClient, name: str, version: str) -> bool:
    """Make a new version the champion if it is better than the one that is; returns whether.

    ``champion`` goes to the best version of all, should another training end at the same moment.
    """
    scores = read_scores(client, name)
    score, champion = scores.get(version), find_champion(client, name)
    if score is None:
        logger.warning(
            "version %s of %s has no %s, since no validation image has a class in target or "
            "prediction; it does not become champion",
            version, name, CHAMPION_METRIC,
        )  # fmt: skip
        return False
    if champion == version:
        return True
    best = scores.get(champion) if champion else None
    if best is not None and score.rank <= best.rank:
        if len(score.classes) < len(best.classes):
            logger.warning(
                "version %s of %s does not become champion: its validation images have %s (%s), "
                "those of version %s, the champion, %s (%s)",
                version, name, _count_classes(score.classes), ", ".join(score.classes) or "none",
                champion, _count_classes(best.classes), ", ".join(best.classes),
            )  # fmt: skip
        return False
    return _promote_best(client, name) == version


def promote(name: str, version: str) -> str | None:
    """Make a version the champion, which only the one with the best validation score may be.

    Args:
        name: The registered model.
        version: Its version.

    Returns:
        The version that was champion before, or None.

    Raises:
        RegistryError: There is no such version, it has no score, or another one is better.
        TrackingError: The store does not answer.
    """
    client = connect()
    with store_errors():
        refusal = _explain_refusal(name, version, read_scores(client, name))
        if refusal:
            raise RegistryError(refusal)
        before = find_champion(client, name)
        client.set_registered_model_alias(name, CHAMPION, version)
    logger.info("%s version %s is champion in place of %s", name, version, before)
    return before


def explain_refusal(name: str, version: str) -> str:
    """Why ``promote`` would refuse a version; empty where it would not.

    Raises:
        TrackingError: The store does not answer.
    """
    client = connect()
    with store_errors():
        return _explain_refusal(name, version, read_scores(client, name))


def explain_refusal_of_score(name: str, score: ValidationScore, what: str) -> str:
    """Why a network that is no version yet could not be champion; empty where it could.

    Args:
        name: The registered model, which need not exist yet.
        score: Of the network.
        what: What the network is called, for the message.

    Raises:
        TrackingError: The store does not answer.
    """
    client = connect()
    with store_errors():
        return _compare(what, score, read_scores(client, name))


def list_versions(client: mlflow.MlflowClient, name: str) -> list[ModelVersion]:
    """All versions of a registered model."""
    quoted = name.replace("'", "\\'")
    return list(client.search_model_versions(f"name = '{quoted}'", max_results=_MOST_VERSIONS))


def read_scores(client: mlflow.MlflowClient, name: str) -> dict[str, ValidationScore]:
    """The scores of the versions that have one."""
    found = {
        str(item.version): ValidationScore.from_tags(item.tags)
        for item in list_versions(client, name)
    }
    return {version: score for version, score in found.items() if score is not None}


def _explain_refusal(name: str, version: str, scores: Mapping[str, ValidationScore]) -> str:
    if version not in scores:
        return (
            f"version {version} of {name} has no {CHAMPION_METRIC} of format {FORMAT_VERSION}, so "
            f"it cannot be champion; versions with a score: {', '.join(scores) or 'none'}"
        )
    return _compare(f"version {version} of {name}", scores[version], scores)


def _compare(what: str, score: ValidationScore, scores: Mapping[str, ValidationScore]) -> str:
    """Why a score is not the best; empty where it is, of equals, too."""
    if score.dice is None:
        return f"{what} has no {CHAMPION_METRIC}, so it cannot be champion; train a better one"
    best = _best(scores) if scores else ""
    if not best or score.rank >= scores[best].rank:
        return ""
    return (
        f"{what} has {score}, version {best} has {scores[best]}; the champion is the best on "
        f"validation images, so promote version {best}, or train a better one"
    )


def _best(scores: Mapping[str, ValidationScore]) -> str:
    """The best version, the earliest of equals."""
    return max(scores, key=lambda version: (scores[version].rank, -int(version)))


def _promote_best(client: mlflow.MlflowClient, name: str) -> str:
    """Give the best version the alias champion; returns its number.

    Another machine may do the same with what it saw a moment ago. Who looks again after moving
    the alias sees the version that the other one made before it looked.
    """
    held = ""
    while (best := _best(read_scores(client, name))) != held:
        client.set_registered_model_alias(name, CHAMPION, best)
        held = best
    return held


def _count_classes(classes: Sequence[str]) -> str:
    return f"{len(classes)} class" if len(classes) == 1 else f"{len(classes)} classes"
