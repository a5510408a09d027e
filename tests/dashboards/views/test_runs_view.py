"""The page Runs."""

from page_script import open_page, read_words

from dashboards.views.runs import differing_settings, matches, table_of


def runs_of(at_store):
    from dashboards.store import run_table

    return run_table().runs()


def test_runs_are_compared_by_link(at_store):
    page = open_page("runs", chosen=f"{at_store.good[:8]}.{at_store.poor[:8]}")
    assert "Settings" in read_words(page)


def test_settings_that_are_the_same_are_shown_when_asked_for(at_store):
    page = open_page("runs")
    before = len(page.dataframe)
    page.session_state["same-settings"] = True
    page.run()
    assert not page.exception
    assert len(page.dataframe) == before + 1


def test_words_find_runs_by_name_id_and_setting(at_store):
    runs = {run.run_id: run for run in runs_of(at_store)}
    good = runs[at_store.good]
    assert matches(good, "")
    assert matches(good, good.name.upper())
    assert matches(good, at_store.good[:8])
    assert matches(good, "base_filters=4 steps_per_epoch=40")
    assert not matches(good, "base_filters=5")
    assert not matches(good, "nosuchname")


def test_differences_come_first_and_nothing_is_lost(at_store):
    runs = {run.run_id: run for run in runs_of(at_store)}
    differs, same = differing_settings([runs[at_store.good], runs[at_store.poor]])
    assert set(differs.index) == {
        "training.epochs",
        "training.learning_rate",
        "training.steps_per_epoch",
    }
    assert len(differs) + len(same) == len(runs[at_store.good].params)


def test_numbers_sort_as_numbers(at_store):
    runs = runs_of(at_store)
    table = table_of(runs, ["model.base_filters", "valid/tiled/dice", "training.loss"])
    assert table["model.base_filters"].dtype.kind == "f"
    assert table["valid/tiled/dice"].dtype.kind == "f"
    assert len(table) == len(runs)
