"""The page Models."""

import mlflow
from page_script import open_page, read_words


def test_models_has_both_modes_and_the_champion(at_store):
    page = open_page("models")
    assert "champion" in read_words(page)
    assert "Promote" not in " ".join(button.label for button in page.button)


def test_scores_and_versions_say_how_many_images_are_behind_them(at_store):
    scores, _, versions = (table.value for table in open_page("models").dataframe)
    assert set(scores.loc["Dice"][["test, tiled, images", "valid, non-tiled, images"]]) == {2}
    assert versions["images"].tolist() == [2, 2]
    assert versions["classes"].tolist() == ["foreground", "foreground"]


def test_a_version_that_may_be_promoted_has_the_button(at_store):
    page = open_page("models", version="1")
    assert any("Promote version 1" in button.label for button in page.button)


def test_only_the_best_version_is_promoted(visitor, store):
    mlflow.set_tracking_uri(store.environment["MLFLOW_TRACKING_URI"])
    client = mlflow.MlflowClient()

    def champion():
        return str(client.get_model_version_by_alias("Discs", "champion").version)

    before = champion()
    try:
        client.set_registered_model_alias("Discs", "champion", "2")
        page = visitor.open("models?version=1")
        page.get_by_role("button", name="Promote version 1 to champion").click()
        page.get_by_role("button", name="Leave it").click()
        assert champion() == "2"
        page.get_by_role("button", name="Promote version 1 to champion").click()
        page.get_by_role("button", name="Promote", exact=True).click()
        page.get_by_text("Version 1 of Discs is champion now in place of version 2.").wait_for()
        assert champion() == "1"
        visitor.open("models?version=2")
        page.get_by_role("button", name="Promote version 2 to champion").click()
        page.get_by_text("It cannot be promoted").wait_for()
        assert page.get_by_text("so promote version 1").count()
        assert page.get_by_role("button", name="Promote", exact=True).count() == 0
        page.get_by_role("button", name="Leave it").click()
        assert champion() == "1"
    finally:
        client.set_registered_model_alias("Discs", "champion", before)
