"""Scores and moments as the pages write them."""

import math
from datetime import UTC, datetime


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


def format_score(value: float | None) -> str:
    """Four digits after the point; a dash where there is no score."""
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"
