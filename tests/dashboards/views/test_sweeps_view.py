"""The page Sweeps."""

from page_script import open_page


def test_sweeps_gives_the_command_of_the_best_trial(at_store):
    assert "tiledseg train --dataset Discs --set" in open_page("sweeps").code[0].value
