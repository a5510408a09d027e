"""What a page says when something fails: each fault by its own name, several side by side."""

from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from streamlit.testing.v1 import AppTest

from dashboards.empty_states import is_missing
from dashboards.views import models
from tiledseg.errors import RegistryError, TrackingError
from tiledseg.tracking.queries import read_run


def failing(errors):
    from dashboards.empty_states import guard_part

    for number, error in enumerate(errors):
        with guard_part(f"part {number}"):
            raise error


def shown(*errors):
    page = AppTest.from_function(failing, kwargs={"errors": errors}).run()
    assert not page.exception
    return page


@pytest.fixture
def missing_run(own_tables):
    with pytest.raises(TrackingError) as told:
        read_run("0" * 32)
    return told.value


def test_two_parts_of_a_page_may_fail_at_once():
    page = shown(*[TrackingError("the MLflow server x does not answer")] * 2)
    assert len(page.error) == 2
    assert [button.label for button in page.button] == ["Try again"] * 2


def test_a_missing_run_is_not_a_missing_store(missing_run):
    assert is_missing(missing_run)
    page = shown(missing_run)
    assert "0" * 32 in page.error[0].value
    assert "choose another" in page.error[0].value
    assert not page.code
    assert not page.button


def test_a_store_that_cannot_be_read_is_told_with_a_remedy():
    error = TrackingError("the MLflow store x cannot be used: no such table")
    error.__cause__ = MlflowException("no such table")
    assert not is_missing(error)
    assert "tiledseg dashboard" in shown(error).code[0].value


def test_a_fault_of_the_registry_is_not_one_of_the_store():
    page = shown(RegistryError("version 3 has no score"))
    assert page.error[0].value == "version 3 has no score"
    assert not page.button


def asking(version):
    from dashboards.views import models

    models._ask(version)


@pytest.mark.parametrize("kind", [TrackingError, RegistryError])
def test_a_promotion_that_fails_is_told_in_its_dialog(monkeypatch, kind):
    def promote(*_):
        raise kind("the MLflow server x does not answer")

    monkeypatch.setattr(models, "explain_refusal", lambda *_: "")
    monkeypatch.setattr(models, "promote", promote)
    version = SimpleNamespace(model="Discs", version="2", tags={})
    page = AppTest.from_function(asking, kwargs={"version": version}).run()
    next(button for button in page.button if button.label == "Promote").click()
    page.run()
    assert not page.exception
    assert "does not answer" in page.error[0].value


def test_a_store_that_does_not_answer_is_told_in_the_dialog_of_a_promotion(monkeypatch):
    def explain_refusal(*_):
        raise TrackingError("the MLflow server x does not answer")

    monkeypatch.setattr(models, "explain_refusal", explain_refusal)
    version = SimpleNamespace(model="Discs", version="2", tags={})
    page = AppTest.from_function(asking, kwargs={"version": version}).run()
    assert not page.exception
    assert "does not answer" in page.error[0].value
