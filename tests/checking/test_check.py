"""Planted faults are found, one by one and together; sound datasets are left in peace."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from faults_to_plant import FAULTS, TOGETHER, disc, read, told
from PIL import Image

from tiledseg.checking.check import check_folder
from tiledseg.config.experiment import Experiment
from tiledseg.images.orientation import turn_upright
from tiledseg.images.reading import read_image

SHARED = Path(__file__).parents[2] / ".." / "shared" / "datasets"


def test_a_sound_dataset(sound, check):
    report = check(sound)
    assert report.is_sound
    assert report.findings == ()
    assert len(report.images) == 12
    assert not report.drawn


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.plant.__name__)
def test_a_planted_fault(sound, check, fault):
    place = fault.plant(sound)
    report = check(sound)
    found = [finding for finding in told(report, fault.code) if finding.place == place]
    assert found, report.findings
    assert found[0].severity == fault.severity
    assert fault.words in found[0].message
    assert found[0].remedy
    assert report.is_sound == (fault.severity != "error")


def test_many_faults_together(sound, check):
    places = {plant.__name__: plant(sound) for plant in TOGETHER}
    report = check(sound)
    expected = {
        (fault.code, places[fault.plant.__name__])
        for fault in FAULTS
        if fault.plant.__name__ in places
    }
    assert expected <= {(finding.code, finding.place) for finding in report.findings}
    assert len(expected) == len(TOGETHER)


def test_every_fault_of_a_kind_is_listed(sound, check):
    for number in range(4):
        disc(sound, "masks", number).unlink()
    assert len(told(check(sound), "image-without-mask")) == 4


def test_masks_of_several_classes(sound, check):
    """Each value is a class; one that is none is named, and classes may cover an image."""
    for path in sound.rglob("masks/*.png"):
        cv2.imwrite(str(path), np.where(read(path) > 0, 1, 2).astype(np.uint8))
    labels = {"mask_form": "labels", "classes": ["ground", "disc", "other"]}
    model = {"num_classes": 3}
    assert check(sound, dataset=labels, model=model).is_sound
    assert not told(check(sound, dataset=labels, model=model), "masks-inverted")
    path = disc(sound, "masks", 0)
    cv2.imwrite(str(path), read(path) + 5)
    (finding,) = told(check(sound, dataset=labels, model=model), "mask-labels")
    assert finding.place == path
    assert "holds the value 7" in finding.message or "holds the value 6" in finding.message


@pytest.mark.parametrize("orientation", range(2, 9))
def test_photographs_lie_under_masks_that_were_drawn_on_what_viewers_show(
    sound, check, orientation
):
    """The picture is stored turned; the objects' colors say where it is shown."""
    path, mask = disc(sound, "images", 0), read(disc(sound, "masks", 0)) > 0
    upright = read(path)
    exif = Image.Exif()
    exif[0x112] = orientation
    turned_back = {6: 8, 8: 6}.get(orientation, orientation)
    path.unlink()
    stored = turn_upright(upright[..., ::-1], turned_back)
    Image.fromarray(stored).save(path.with_suffix(".webp"), lossless=True, exif=exif)
    shown = read_image(path.with_suffix(".webp"))
    np.testing.assert_array_equal(shown, upright[..., ::-1])
    assert abs(shown[mask].mean() - shown[~mask].mean()) > 50
    report = check(sound)
    assert report.is_sound
    (finding,) = told(report, "images-turned")
    assert "1 of 12 images" in finding.message
    assert f"disc0.webp: {orientation}" in finding.message


class TestObjects:
    def test_larger_than_the_crop(self, sound, check):
        (finding,) = told(check(sound, image={"size": 32}), "objects-exceed-crop")
        assert "32 x 32" in finding.message
        assert finding.place == sound

    def test_larger_than_the_receptive_field(self, sound, check):
        assert not told(check(sound, halo=30), "objects-exceed-field")
        (finding,) = told(check(sound, halo=8), "objects-exceed-field")
        assert "17 x 17" in finding.message

    def test_smaller_than_the_reduction_leaves(self, sound, check):
        assert not told(check(sound, model={"reduction": 2}), "objects-too-small")
        for number in range(12):
            mask = np.zeros((96, 96), np.uint8)
            mask[20:25, 20:27] = mask[60 : 65 + number % 3, 50:55] = 255
            cv2.imwrite(str(disc(sound, "masks", number)), mask)
        (finding,) = told(check(sound, model={"reduction": 4}), "objects-too-small")
        assert "model.reduction 4" in finding.message

    def test_rare(self, sound, check):
        for number in range(6):
            mask = np.zeros((96, 96), np.uint8)
            mask[20:22, 20 + number : 24 + number] = 255
            cv2.imwrite(str(disc(sound, "masks", number)), mask)
        report = check(sound)
        assert "0.087%" in told(report, "foreground-rare")[0].message
        assert len(told(report, "foreground-shifts")) == 2

    def test_images_smaller_than_the_crop(self, sound, check):
        (finding,) = told(check(sound, image={"size": 128}), "images-smaller-than-crop")
        assert "12 of 12 images" in finding.message
        assert finding.severity == "note"


class TestMasksAsJpeg:
    def test_ringing_is_no_fault(self, sound, check):
        for number in range(12):
            path = disc(sound, "masks", number)
            mask = read(path)
            path.unlink()
            cv2.imwrite(str(path.with_suffix(".jpg")), mask, (cv2.IMWRITE_JPEG_QUALITY, 60))
        codes = {finding.code for finding in check(sound).findings}
        assert not codes & {"mask-gray", "mask-classes-lost", "mask-several-values"}

    def test_ringing_in_an_empty_mask_is_no_foreground(self, sound, check):
        path = disc(sound, "masks", 0)
        path.unlink()
        noise = np.random.default_rng(0).integers(0, 6, (96, 96), dtype=np.uint8)
        cv2.imwrite(str(path.with_suffix(".jpg")), noise)
        assert told(check(sound), "mask-empty")


class TestLayouts:
    def test_drawn_splits(self, sound, check, tmp_path):
        for kind in ("images", "masks"):
            (tmp_path / "Flat" / kind).mkdir(parents=True)
            for path in sound.rglob(f"{kind}/*.png"):
                path.rename(tmp_path / "Flat" / kind / path.name)
        report = check(tmp_path / "Flat")
        assert report.drawn
        assert report.is_sound
        assert {facts.split for facts in report.images} == {"train", "valid", "test"}

    def test_too_few_to_draw(self, tiny_dataset, check):
        (finding,) = told(check(tiny_dataset(name="Few", images=(2, 0, 0))), "split-too-small")
        assert finding.severity == "error"
        assert "needs 3" in finding.message

    def test_nothing_to_train_on(self, sound, check):
        (sound / "train").rename(sound / "training")
        report = check(sound)
        assert "neither train/images" in told(report, "layout")[0].message
        assert "called train" in told(report, "split-misnamed")[0].message

    def test_no_masks_folder(self, sound, check):
        for path in (sound / "valid" / "masks").iterdir():
            path.unlink()
        (sound / "valid" / "masks").rmdir()
        assert "does not exist" in told(check(sound), "layout")[0].message


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared images are not on this machine")
@pytest.mark.soak
class TestRealDatasets:
    @pytest.mark.parametrize(
        ("name", "images", "codes"),
        [
            ("Tiled-Cell", 26, {"brightness-outlier"}),
            ("Tiled-MultipleMyeloma", 36, {"objects-exceed-crop", "mask-specks"}),
            ("Tiled-Cervical-Cancer", 22, set()),
            ("Malignant-BreastDM", 17, {"alike-in-two-splits", "brightness-outlier", "alike"}),
            ("MultipleMyeloma", 2273, {"images-smaller-than-crop", "folder-not-read"}),
        ],
    )
    def test_no_errors_and_honest_warnings(self, name, images, codes):
        experiment = Experiment.model_validate({"dataset": {"name": name}})
        report = check_folder(SHARED / name, experiment)
        assert report.is_sound, list(report.findings)
        assert len(report.images) == images
        assert codes <= {finding.code for finding in report.findings}
