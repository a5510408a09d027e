"""Work in the background, as pages wait for it."""

import threading

import pytest

from dashboards import jobs
from dashboards.jobs import find_job, start_job, stop_job
from tiledseg.errors import ImageError


@pytest.fixture
def step():
    """Lets work go on by one step; always at the end."""
    event = threading.Event()
    yield event
    event.set()


def wait(key):
    assert find_job(key).wait(30)
    return find_job(key)


def test_work_tells_how_far_it_is_and_is_done_once_for_all_who_wait(step):
    begun = []

    def work(report):
        begun.append(True)
        report(0.25, "tile 1 of 4")
        step.wait(30)

    first = start_job("a", work)
    assert start_job("a", work) is first
    while not first.words:
        pass
    assert (first.share, first.words, first.is_done) == (0.25, "tile 1 of 4", False)
    step.set()
    assert wait("a").error is None
    assert not first.is_stopped
    assert len(begun) == 1


def test_what_went_wrong_is_kept_until_it_is_begun_again():
    def fail(_):
        raise ImageError("a.png: is empty")

    start_job("b", fail)
    assert str(wait("b").error) == "a.png: is empty"
    start_job("b", lambda _: None)
    assert wait("b").error is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_is_told_too():
    def fail(_):
        raise ValueError("no such axis")

    start_job("c", fail)
    assert "ValueError: no such axis" in str(wait("c").error)


def test_work_that_is_stopped_ends_at_its_next_step(step):
    def work(report):
        step.wait(30)
        report(0.5, "half")
        raise AssertionError("it went on")

    job = start_job("d", work)
    stop_job("d")
    assert find_job("d") is None
    step.set()
    assert job.wait(30)
    assert job.is_stopped and job.error is None


def test_work_that_nobody_looks_at_ends(step, monkeypatch):
    monkeypatch.setattr(jobs, "UNSEEN_SECONDS", 0.0)

    def work(report):
        step.wait(30)
        report(0.5, "half")

    job = start_job("e", work)
    step.set()
    assert job.wait(30)
    assert job.is_stopped


def test_only_so_many_ends_are_remembered(monkeypatch):
    monkeypatch.setattr(jobs, "MOST_KEPT", 3)
    monkeypatch.setattr(jobs, "_jobs", type(jobs._jobs)())
    for number in range(6):
        start_job(str(number), lambda _: None).wait(30)
    assert find_job("0") is None
    assert find_job("5") is not None
