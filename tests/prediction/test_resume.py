"""Many images of which a stop left some finished, some begun: the rest is done, and only that."""

import shutil
from dataclasses import replace

import pytest

from tiledseg.errors import OutputError
from tiledseg.prediction.files import predict_files
from tiledseg.prediction.options import PredictionOptions

EVERYTHING = PredictionOptions(with_objects=True, min_object_area=2)
GO_ON = replace(EVERYTHING, skip_existing=True)


class Stop(BaseException):
    """What is raised to stop a prediction."""


@pytest.fixture
def images(write_slides):
    return write_slides("abc")


@pytest.fixture(params=[True, False], ids=["streamed", "in memory"])
def streamed(request, monkeypatch):
    if request.param:
        monkeypatch.setattr("tiledseg.prediction.job.LARGE", 0.001)
    return request.param


@pytest.fixture
def predicted(slide_predictor, images, tmp_path):
    """Predict all images with their overlays; returns stems of those that were predicted."""

    def predict(folder, options):
        done = predict_files(slide_predictor, images, tmp_path / folder, options, with_overlay=True)
        return [file.image.stem for file in done]

    return predict


def contents(folder):
    """Every file, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_only_what_is_missing_is_predicted(predicted, streamed, tmp_path):
    assert predicted("whole", EVERYTHING) == ["a", "b", "c"]
    expected = contents(tmp_path / "whole")
    assert len(expected) == 3 * 5
    out = tmp_path / "out"
    for name in ("a.png", "objects/b.geojson", "overlay/c.png"):
        shutil.copytree(tmp_path / "whole", out, dirs_exist_ok=True)
        (out / name).unlink()
        kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
        assert predicted("out", GO_ON) == [name.split("/")[-1][0]]
        assert contents(out) == expected
        for path, time in kept.items():
            assert path.stem == name.split("/")[-1][0] or path.stat().st_mtime_ns == time
    assert predicted("out", GO_ON) == []


def test_a_stop_between_the_files_of_an_image(predicted, streamed, tmp_path, monkeypatch):
    """An overlay is not painted: the mask is not there either, and tiles are not lost."""

    def stop(*_):
        raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr("tiledseg.prediction.files.overlay", stop)
        predicted("out", EVERYTHING)
    assert not (tmp_path / "out" / "a.png").exists()
    told = []
    options = replace(GO_ON, on_tiles=lambda image, done, _: told.append((image.stem, done)))
    assert predicted("out", options) == ["a", "b", "c"]
    if streamed:
        (stem, resumed), (following, _), *_ = told
        assert stem == "a"
        assert following == "b", "the tiles of the first were predicted again"
        assert resumed > 4
    predicted("whole", EVERYTHING)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_streamed_image_resumes_and_finished_ones_stay(
    slide_predictor, images, tmp_path, monkeypatch
):
    monkeypatch.setattr("tiledseg.prediction.job.LARGE", 0.001)

    def stop(image, done, total):
        if image.stem == "b" and 3 <= done < total:
            raise Stop

    out = tmp_path / "out"
    with pytest.raises(Stop):
        predict_files(slide_predictor, images, out, PredictionOptions(on_tiles=stop))
    with pytest.raises(OutputError, match=r"a\.png exists; .*--skip-existing"):
        predict_files(slide_predictor, images, out)
    b, c = predict_files(slide_predictor, images, out, PredictionOptions(skip_existing=True))
    assert (b.image, c.image) == (images[1], images[2])
    assert 0 < b.resumed < b.tiles
    assert c.resumed == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "c.png"]


def test_a_replaced_mask_is_never_beside_the_objects_of_another(predicted, streamed, tmp_path):
    predicted("out", EVERYTHING)
    in_the_way = tmp_path / "out" / "objects" / "a.geojson"
    in_the_way.unlink()
    (in_the_way / "inside").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"a\.geojson"):
        predicted("out", replace(EVERYTHING, overwrite=True))
    assert not (tmp_path / "out" / "a.png").exists()
    shutil.rmtree(in_the_way)
    assert predicted("out", GO_ON) == ["a"]


def test_an_image_beside_its_mask_is_not_taken_for_it(slide_predictor, slide_file):
    (slide_file.parent / "s.png").symlink_to(slide_file)
    with pytest.raises(OutputError, match="would replace its image"):
        predict_files(
            slide_predictor, [slide_file], slide_file.parent, PredictionOptions(skip_existing=True)
        )
