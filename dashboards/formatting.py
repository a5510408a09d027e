"""Numbers and times as people say them."""

import math
from datetime import UTC, datetime


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, for example ``3 hours ago``."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def duration(seconds: float | None) -> str:
    """For example ``12:05``, or ``1:02:05`` with hours; a dash for nothing."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def score(value: float | None) -> str:
    """Four digits; a dash for nothing."""
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"


def megabytes(size: int) -> str:
    """For example ``12.3 MB``."""
    return f"{size / 1e6:.1f} MB"
