"""A prediction that is killed outright goes on as if nothing had been."""

import random
import signal
import sys

import pytest
from predict_process import TILES_AT_ONCE, Work, kill_somewhere, start

from tiledseg.prediction.job import predict_image
from tiledseg.prediction.options import PredictionOptions

FILES = {"format": "ome-tiff", "content": "probability", "with_objects": True}


@pytest.mark.soak
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and a fork server")
def test_killed_twice_the_output_is_that_of_an_uninterrupted_run(
    slide_predictor, slide_file, tmp_path
):
    whole = predict_image(
        slide_predictor, slide_file, tmp_path / "whole", PredictionOptions(**FILES)
    )
    (tmp_path / "model").mkdir()
    slide_predictor.save(tmp_path / "model")
    work = Work(tmp_path / "model", slide_file, tmp_path / "out", tmp_path / "log", FILES)
    dice, kills = random.Random(2), 2
    for left in (2, 1):
        assert kill_somewhere(work, dice, whole.tiles, left) == -signal.SIGKILL
        assert {path.name[0] for path in (tmp_path / "out").iterdir()} == {"."}
    process = start(work)
    process.join()
    assert process.exitcode == 0
    expected = {path.name: path.read_bytes() for path in (tmp_path / "whole").rglob("s.*")}
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("s.*")}
    assert found == expected
    assert len(found) == 4
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name[0] == "."]
    repeated = sum(work.begun()) - whole.tiles
    # One batch is computed, one waits and one is written when the end comes.
    assert 0 <= repeated <= kills * 3 * TILES_AT_ONCE
