"""What pages know of the store follows the store, at little cost."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from dashboards import store
from dashboards.run_table import RunTable, run_table
from tiledseg.errors import TrackingError
from tiledseg.tracking import queries
from tiledseg.tracking.queries import RunSummary

START = datetime(2026, 1, 1, tzinfo=UTC)


def run(number, status="FINISHED"):
    return RunSummary(
        run_id=f"{number:032x}", name=f"run {number}", dataset="Discs", kind="train",
        status=status, started=START + timedelta(minutes=number), seconds=1.0, parent="",
        error="", params={}, metrics={}, tags={}, files="",
    )  # fmt: skip


@pytest.fixture
def rows(monkeypatch):
    """Number to run; stands for the store, of which a look sees the newest page alone."""
    rows = {}

    def read_runs(*, condition="", known=None):
        found = sorted(rows.values(), key=lambda row: row.started, reverse=True)
        if condition:
            return [row for row in found if row.status == "RUNNING"]
        if known is None:
            return found
        page = {row.run_id: row for row in found[:2]}
        return list({**known, **page}.values())

    def read_run(run_id):
        for row in rows.values():
            if row.run_id == run_id:
                return row
        raise TrackingError(f"no run {run_id}")

    monkeypatch.setattr(queries, "read_runs", read_runs)
    monkeypatch.setattr(queries, "read_run", read_run)
    monkeypatch.setattr("dashboards.run_table.FRESH", 0.0)
    return rows


def status_of(table):
    return {row.name: row.status for row in table.runs()}


def test_the_newest_comes_first(rows):
    rows.update({number: run(number) for number in (2, 3, 1)})
    assert [row.name for row in RunTable().runs()] == ["run 3", "run 2", "run 1"]


def test_new_runs_appear(rows):
    table = RunTable()
    rows[1] = run(1)
    assert status_of(table) == {"run 1": "FINISHED"}
    rows[2] = run(2, "RUNNING")
    assert status_of(table) == {"run 2": "RUNNING", "run 1": "FINISHED"}


def test_a_run_that_began_before_many_others_is_seen_to_end(rows):
    rows.update(
        {number: run(number, "RUNNING" if number == 0 else "FINISHED") for number in range(9)}
    )
    table = RunTable()
    assert status_of(table)["run 0"] == "RUNNING"
    rows[0] = run(0)
    assert status_of(table)["run 0"] == "FINISHED"


def test_an_open_run_that_is_removed_disappears(rows):
    rows.update(
        {number: run(number, "RUNNING" if number == 0 else "FINISHED") for number in range(9)}
    )
    table = RunTable()
    assert "run 0" in status_of(table)
    del rows[0]
    assert "run 0" not in status_of(table)


def test_a_run_that_has_ended_is_not_asked_for_again(rows, monkeypatch, empty_caches):
    rows.update({1: run(1), 2: run(2, "RUNNING")})
    run_table().runs()
    asked = []
    monkeypatch.setattr(queries, "read_run", lambda run_id: asked.append(run_id) or rows[2])
    assert store.one_run(rows[1].run_id) == rows[1]
    assert asked == []
    assert store.one_run(rows[2].run_id).status == "RUNNING"
    assert asked == [rows[2].run_id]


def test_an_answer_is_good_for_a_while(rows, monkeypatch):
    monkeypatch.setattr("dashboards.run_table.FRESH", 1000.0)
    table = RunTable()
    rows[1] = run(1)
    assert len(table.runs()) == 1
    rows[2] = run(2)
    assert len(table.runs()) == 1


def test_known_runs_do_not_wait_for_the_first_reading(rows):
    table = RunTable()
    rows[1] = run(1)
    assert table.peek() is None
    table.runs()
    rows[2] = run(2)
    assert [row.name for row in table.peek()] == ["run 2", "run 1"]


def test_all_are_read_anew_beside_the_pages(rows, monkeypatch):
    monkeypatch.setattr("dashboards.run_table.ANEW", 0.0)
    rows.update({number: run(number) for number in range(9)})
    table = RunTable()
    table.runs()
    del rows[3]  # it ended long ago, so that no look at the newest sees that it is gone
    read, go_on, begun = queries.read_runs, threading.Event(), threading.Event()

    def read_slowly(**conditions):
        if not conditions:
            begun.set()
            assert go_on.wait(10)
        return read(**conditions)

    monkeypatch.setattr(queries, "read_runs", read_slowly)
    assert "run 3" in status_of(table)  # nobody waits
    assert begun.wait(10)
    assert "run 3" in status_of(table)
    renewal = table._renewal
    go_on.set()
    renewal.join(10)
    assert "run 3" not in status_of(table)


def test_a_store_that_fails_while_it_is_read_anew_leaves_what_is_known(rows, monkeypatch):
    monkeypatch.setattr("dashboards.run_table.ANEW", 0.0)
    rows.update({number: run(number) for number in range(3)})
    table = RunTable()
    table.runs()
    read = queries.read_runs

    def fail(**conditions):
        if not conditions:
            raise TrackingError("gone")
        return read(**conditions)

    monkeypatch.setattr(queries, "read_runs", fail)
    for _ in range(2):
        assert len(table.runs()) == 3
        if table._renewal:
            table._renewal.join(10)
