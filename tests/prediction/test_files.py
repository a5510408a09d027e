import json
import os

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from tiledseg.errors import ImageError, OutputError
from tiledseg.images.opening import SLIDE_SUFFIXES
from tiledseg.images.orientation import turn_upright
from tiledseg.images.writing import write_image
from tiledseg.masks.cleaning import clean
from tiledseg.models import build_model
from tiledseg.prediction.files import find_images, predict_files
from tiledseg.prediction.options import PredictionOptions
from tiledseg.prediction.predictor import Predictor


@pytest.fixture(scope="module")
def predictor(tiny_experiment):
    experiment = tiny_experiment()
    keras.utils.set_random_seed(3)  # by chance, a network finds nothing at all
    return Predictor(build_model(experiment.model, 3), experiment)


@pytest.fixture
def slides(tmp_path):
    rng = np.random.default_rng(3)
    for stem, shape in (("a", (50, 70, 3)), ("b", (33, 20, 3))):
        write_image(tmp_path / "slides" / f"{stem}.png", rng.integers(0, 256, shape, np.uint8))
    return tmp_path / "slides"


def test_files_folders_and_patterns(slides):
    a, b = slides / "a.png", slides / "b.png"
    assert find_images([slides]) == [a, b]
    assert find_images([b, a]) == [b, a]
    assert find_images([slides / "*.png"]) == [a, b]


def test_what_is_not_there_is_named(slides, tmp_path):
    with pytest.raises(ImageError, match=r"missing\.png"):
        find_images([slides, tmp_path / "missing.png"])
    with pytest.raises(ImageError, match=r"\*\.tif"):
        find_images([slides / "*.tif"])
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ImageError, match="no image"):
        find_images([tmp_path / "nothing"])


def test_patterns_pass_over_what_is_no_image_as_folders_do(slides):
    tifffile.imwrite(slides / "c.svs", np.zeros((4, 4), np.uint8))
    (slides / "more").mkdir()
    (slides / "folder.png").mkdir()
    (slides / "folder.svs").mkdir()
    (slides / "notes.txt").write_text("words")
    names = ["a.png", "b.png", "c.svs"]
    assert [path.name for path in find_images([slides / "*"])] == names
    assert [path.name for path in find_images([slides])] == names
    with pytest.raises(ImageError, match=r"no image among .*folder\.png"):
        find_images([slides / "fold*"])


def test_what_is_passed_over_is_counted_and_named(slides, caplog):
    (slides / "notes.txt").write_text("words")
    (slides / "h.czi").write_bytes(b"ZISRAWFILE")
    (slides / "gone.png").symlink_to("nowhere.png")
    for given in (slides, slides / "*"):
        caplog.clear()
        assert len(find_images([given])) == 2
        (line,) = [record.message for record in caplog.records]
        assert line.startswith(f"{given}: 3 of 5 not used; ")
        assert "1 a broken link (gone.png)" in line
        assert ".czi file (h.czi): export it as OME-TIFF" in line
    for path in slides.glob("?.png"):
        path.unlink()
    with pytest.raises(ImageError, match=r"no image in this folder \(3 of 3 not used; .*h\.czi"):
        find_images([slides])


def test_a_damaged_image_is_named_before_any_is_predicted(predictor, slides, tmp_path):
    whole = (slides / "b.png").read_bytes()
    (slides / "b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"b\.png"):
        predict_files(predictor, find_images([slides]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("large", [50.0, 0.001])
@pytest.mark.parametrize("layout", [{"tile": (16, 32)}, {"compression": "zlib"}])
@pytest.mark.parametrize("suffix", SLIDE_SUFFIXES)
def test_small_tiffs_of_scanners_are_predicted(
    predictor, tmp_path, monkeypatch, suffix, layout, large
):
    """Both in memory and streamed: what a file holds decides, not its suffix."""
    pixels = np.random.default_rng(3).integers(0, 256, (50, 70, 3), np.uint8)
    path = tmp_path / f"a{suffix}"
    about = "Aperio Image Library v11\n70x50 |AppMag = 20|MPP = 0.5" if suffix == ".svs" else None
    big = suffix in (".btf", ".tf8")
    tifffile.imwrite(
        path, pixels, photometric="rgb", bigtiff=big, description=about, metadata=None, **layout
    )
    monkeypatch.setattr("tiledseg.prediction.job.LARGE", large)
    (done,) = predict_files(predictor, find_images([path]), tmp_path / "out")
    mask = cv2.imread(str(done.mask), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(mask, predictor.mask(pixels) * np.uint8(255))


def test_channels_in_pages_are_colors_in_memory_too(predictor, slides, tmp_path):
    pixels = cv2.imread(str(slides / "a.png"))[..., ::-1]
    path = tmp_path / "c.ome.tif"
    planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    kind = {"photometric": "minisblack", "metadata": {"axes": "CYX"}}
    tifffile.imwrite(path, planes, tile=(16, 16), **kind)
    (done,) = predict_files(predictor, [path], tmp_path / "out")
    mask = cv2.imread(str(done.mask), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(mask > 0, predictor.mask(np.ascontiguousarray(pixels)))


def test_two_images_of_one_name_are_refused(slides, tmp_path):
    write_image(tmp_path / "more" / "a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ImageError, match=r"a\.png"):
        find_images([slides, tmp_path / "more"])


def test_masks_are_gray_0_or_255_at_the_images_size(predictor, slides, tmp_path):
    told = []
    done = predict_files(predictor, find_images([slides]), tmp_path / "out", observer=told.append)
    assert told == done
    for file in done:
        mask = cv2.imread(str(file.mask), cv2.IMREAD_UNCHANGED)
        image = cv2.imread(str(file.image))[..., ::-1]
        assert mask.ndim == 2
        assert np.array_equal(mask, predictor.mask(np.ascontiguousarray(image)) * np.uint8(255))
        assert file.foreground == pytest.approx((mask > 0).mean())


def test_overlay_goes_beside_the_masks(predictor, slides, tmp_path):
    predict_files(predictor, [slides / "a.png"], tmp_path / "out", with_overlay=True)
    assert cv2.imread(str(tmp_path / "out" / "overlay" / "a.png")).shape == (50, 70, 3)


def test_an_overlay_is_not_replaced_unasked(predictor, slides, tmp_path):
    kept = tmp_path / "out" / "overlay" / "a.png"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"mine")
    with pytest.raises(OutputError, match="--overwrite"):
        predict_files(predictor, [slides / "a.png"], tmp_path / "out", with_overlay=True)
    assert kept.read_bytes() == b"mine"
    assert not (tmp_path / "out" / "a.png").exists()


def test_objects_are_those_of_the_mask(predictor, slides, tmp_path):
    out = tmp_path / "out"
    (done,) = predict_files(
        predictor,
        [slides / "a.png"],
        out,
        PredictionOptions(with_objects=True, min_object_area=3, max_hole_area=5),
    )
    mask = cv2.imread(str(done.mask), cv2.IMREAD_UNCHANGED) > 0
    raw = predictor.mask(cv2.imread(str(slides / "a.png"))[..., ::-1].copy())
    assert np.array_equal(mask, clean(raw, smallest=3, holes=5))
    labels = tifffile.imread(out / "objects" / "a.tif")
    assert labels.dtype == np.uint32
    assert np.array_equal(labels > 0, mask)
    table = pd.read_csv(out / "objects" / "a.csv")
    assert len(table) == done.objects == labels.max() > 0
    assert table["area"].sum() == mask.sum()
    outlines = json.loads((out / "objects" / "a.geojson").read_text())
    assert len(outlines["features"]) == done.objects
    with pytest.raises(OutputError, match=r"a\.png exists"):
        predict_files(predictor, [slides / "a.png"], out, PredictionOptions(with_objects=True))
    done.mask.unlink()
    with pytest.raises(OutputError, match=r"objects/a\.\w+ exists"):
        predict_files(predictor, [slides / "a.png"], out, PredictionOptions(with_objects=True))


def test_nothing_is_overwritten_unasked(predictor, slides, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.png").write_bytes(b"precious")
    images = find_images([slides])
    with pytest.raises(OutputError, match=r"b\.png exists"):
        predict_files(predictor, images, out)
    assert (out / "b.png").read_bytes() == b"precious"
    assert not (out / "a.png").exists()
    predict_files(predictor, images, out, PredictionOptions(overwrite=True))
    assert (out / "b.png").read_bytes() != b"precious"


def test_an_image_is_never_replaced_by_its_mask(predictor, slides):
    before = (slides / "a.png").read_bytes()
    with pytest.raises(OutputError, match="would replace its image"):
        predict_files(predictor, [slides / "a.png"], slides, PredictionOptions(overwrite=True))
    assert (slides / "a.png").read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(predictor, slides, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        predict_files(predictor, [slides / "a.png"], tmp_path / "file" / "out")


@pytest.mark.parametrize("mode", ["tiled", "resized"])
@pytest.mark.parametrize("large", [50.0, 0.0])
def test_options_override_the_models_cleaning(
    slide_predictor, slide_file, slide_pixels, tmp_path, monkeypatch, mode, large
):
    """Holes of the settings are filled in files as in memory, in tiled and resized alike."""
    monkeypatch.setattr("tiledseg.prediction.job.LARGE", large)
    raw = slide_predictor.mask(slide_pixels, mode)
    cleaning = {"tiling.min_object_area": 3, "tiling.max_hole_area": 40}
    cleaned = Predictor(slide_predictor.model, slide_predictor.experiment.override(cleaning))
    wanted = clean(raw, smallest=3, holes=40)
    assert np.array_equal(cleaned.mask(slide_pixels, mode), wanted)
    for name, overrides, expected in (
        ("own", {}, wanted),
        ("none", {"min_object_area": 0, "max_hole_area": 0}, raw),
        ("other", {"max_hole_area": 0}, clean(raw, smallest=3)),
    ):
        options = PredictionOptions(mode=mode, **overrides)
        (done,) = predict_files(cleaned, [slide_file], tmp_path / name, options)
        mask = cv2.imread(str(done.mask), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(mask > 0, expected)
    if mode == "tiled":
        assert (wanted & ~raw).any(), "a hole was filled"


def test_a_dark_picture_is_named_once_and_a_depth_makes_it_bright(predictor, tmp_path, caplog):
    """12 bits of a camera in a file of 16."""
    rng = np.random.default_rng(4)
    gray = rng.integers(0, 256, (40, 48), np.uint8)
    for name, layout in (("strips", {}), ("tiles", {"tile": (16, 16)})):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, gray.astype(np.uint16) << 4, photometric="minisblack", **layout)
    write_image(tmp_path / "sound.png", gray)
    images = [tmp_path / name for name in ("strips.tif", "tiles.tif", "sound.png")]
    predict_files(predictor, images, tmp_path / "dark")
    (told,) = [record.message for record in caplog.records if "range" in record.message]
    assert "2 of 3 images" in told
    assert "image.bit_depth" in told
    caplog.clear()
    set_ = predictor.experiment.override({"image.bit_depth": 12})
    predict_files(predictor.replace(experiment=set_), images, tmp_path / "bright")
    assert not [record for record in caplog.records if "range" in record.message]
    masks = [cv2.imread(str(tmp_path / "bright" / f"{path.stem}.png")) for path in images]
    assert (masks[0] == masks[1]).all()


@pytest.mark.parametrize("form", ["png", "ome-tiff", "ome-zarr"])
def test_a_name_that_is_no_text_is_predicted(predictor, tmp_path, form):
    """An archive made on Windows leaves names in Latin-1."""
    image = tmp_path / os.fsdecode(b"gr\xf6\xdfe.png")
    write_image(image, np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
    options = PredictionOptions(format=form, with_objects=True, skip_background=True)
    (done,) = predict_files(predictor, [image], tmp_path / "out", options, with_overlay=True)
    assert done.mask.exists()
    assert os.fsencode(done.mask.name).startswith(b"gr\xf6\xdfe")
    objects = (tmp_path / "out" / "objects" / image.stem).with_suffix(".geojson")
    json.loads(objects.read_text(encoding="utf-8"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_lies_on_what_viewers_show(predictor, tmp_path, orientation):
    """However a picture is turned where it is stored, whole or in tiles, as the model served."""
    upright = np.random.default_rng(5).integers(0, 256, (44, 70, 3), np.uint8)
    expected = predictor.mask(upright)
    back = {6: 8, 8: 6}.get(orientation, orientation)
    stored = turn_upright(upright, back)
    tag = {"photometric": "rgb", "extratags": [(274, "H", 1, orientation, True)]}
    tifffile.imwrite(tmp_path / "tiles.tif", stored, tile=(16, 16), **tag)
    tifffile.imwrite(tmp_path / "strips.tif", stored, compression="zlib", **tag)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(tmp_path / "photo.webp", lossless=True, exif=exif)
    images = [tmp_path / name for name in ("tiles.tif", "strips.tif", "photo.webp")]
    for done in predict_files(predictor, images, tmp_path / "out"):
        with Image.open(done.mask) as mask:
            assert not mask.getexif()
            np.testing.assert_array_equal(np.asarray(mask) > 0, expected)
