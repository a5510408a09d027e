import math
from datetime import UTC, datetime, timedelta

import pytest

from dashboards.formatting import format_age, format_score


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=1, hours=23), "1 day ago"),
        (timedelta(days=400), "400 days ago"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(passed, text):
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert format_age(now - passed, now) == text


def test_a_score_has_four_digits():
    assert format_score(0.98765) == "0.9877"
    assert format_score(None) == format_score(math.nan) == "-"
