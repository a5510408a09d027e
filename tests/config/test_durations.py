import pytest

from tiledseg.config.durations import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (9.4, "0:09"),
        (59.6, "1:00"),
        (725, "12:05"),
        (3599.4, "59:59"),
        (3599.6, "1:00:00"),
        (3725, "1:02:05"),
        (90_061, "25:01:01"),
    ],
)
def test_hours_are_written_from_the_first_on(seconds, text):
    assert format_duration(seconds) == text


def test_a_duration_that_is_not_known():
    assert format_duration(None) == "-"
    assert format_duration(None, "") == ""
