"""Scores and moments as the pages write them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from dashboards.markdown import escape
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.names import images_metric


def format_age(moment: datetime, now: datetime | None = None) -> str:
    """How long ago a moment was, for example ``3 hours ago``.

    Args:
        moment: In the past, with its time zone.
        now: By default the present.
    """
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def format_score(value: float | None, digits: int = 4) -> str:
    """So many digits after the point; a dash where there is no score."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def format_images(metrics: Mapping[str, float], metric: str) -> str:
    """How many images a final metric is taken from, in words; empty where the run does not say.

    Args:
        metrics: Of the run.
        metric: Its name, for example ``test/tiled/dice``.
    """
    images = metrics.get(images_metric(metric))
    if images is None:
        return ""
    return f"{images:.0f} image" if images == 1 else f"{images:.0f} images"


def describe_score(score: ValidationScore | None) -> str:
    """What versions are compared by, in words; what was averaged is said."""
    if score is None:
        return "unknown"
    of = f", of {escape(', '.join(score.classes))}" if len(score.classes) > 1 else ""
    images = f"{score.images} image" if score.images == 1 else f"{score.images} images"
    return f"**{format_score(score.dice)}** (tiled, mean over {images}{of})"
