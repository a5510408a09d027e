"""Durations as the command line and the dashboard write them."""


def format_duration(seconds: float | None, missing: str = "-") -> str:
    """Write a duration as ``12:05``, minutes and seconds, or as ``1:02:05`` with hours.

    Args:
        seconds: At least 0, rounded to whole ones; None where it is not known.
        missing: What is written for None.
    """
    if seconds is None:
        return missing
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
