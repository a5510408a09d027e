import numpy as np
import pytest

from tiledseg.config import AugmentationSettings
from tiledseg.data.prepare.cutting import pieces_of, resize
from tiledseg.data.prepare.spec import PreparationSpec
from tiledseg.data.split import source_of
from tiledseg.errors import ExperimentError

CHANGES = AugmentationSettings()


def picture(height=96, width=64):
    image = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[8:20, 8:20] = 1
    return image, mask


def cut(split="train", **spec):
    return list(pieces_of(split, "smear", *picture(), PreparationSpec(**spec), CHANGES))


def test_tiles_are_the_image_at_their_place():
    image, mask = picture()
    for piece in cut(tile=32, overlap=8):
        np.testing.assert_array_equal(piece.image, image[piece.window.slices])
        np.testing.assert_array_equal(piece.mask, mask[piece.window.slices])
        assert piece.stem == f"smear_r{piece.window.top}_c{piece.window.left}"


@pytest.mark.parametrize("spec", [{"tile": 32, "objects": 24, "reduce": 48, "augment": 2}])
def test_a_mixture_has_every_kind_and_names_that_lead_back(spec):
    pieces = cut(**spec)
    assert {piece.kind for piece in pieces} == {"tile", "object", "reduced"}
    assert len({piece.stem for piece in pieces}) == len(pieces) == 3 * (6 + 1 + 1)
    assert {source_of(piece.stem) for piece in pieces} == {"smear"}


def test_empty_tiles_are_thinned_in_train_alone():
    everything, none = cut(tile=16), cut(tile=16, empty=0.0)
    some = cut(tile=16, empty=0.3)
    full = [piece.stem for piece in everything if piece.mask.any()]
    assert len(everything) == 24
    assert [piece.stem for piece in none] == full
    assert len(full) < len(some) < len(everything)
    assert len(cut("valid", tile=16, empty=0.0)) == 24


def test_what_stays_depends_on_the_seed_and_grows_with_the_share():
    kept = {share: {p.stem for p in cut(tile=16, empty=share)} for share in (0.2, 0.5, 0.9)}
    assert kept[0.2] <= kept[0.5] <= kept[0.9]
    assert kept[0.5] != {p.stem for p in cut(tile=16, empty=0.5, seed=1)}


def test_reduced_in_proportion_and_never_enlarged():
    (small,) = cut(reduce=48)
    assert small.image.shape == (48, 32, 3)
    assert (small.zoom, small.kind) == (0.5, "reduced")
    assert set(np.unique(small.mask)) == {0, 1}
    (same,) = cut(reduce=4096)
    assert same.image.shape == (96, 64, 3)


def test_enlarged_before_it_is_cut():
    (large,) = cut(enlarge=192)
    assert (large.image.shape, large.mask.shape) == ((192, 128, 3), (192, 128))
    tiles = cut(enlarge=192, tile=64)
    assert len(tiles) == 6
    np.testing.assert_array_equal(tiles[0].image, large.image[:64, :64])
    (same,) = cut(enlarge=50)
    assert same.zoom == 1.0


@pytest.mark.parametrize("longer", [31, 97, 400])
def test_resized_masks_hold_no_new_label_and_stay_in_place(longer):
    mask = picture()[1] * np.uint8(200)
    other = resize(mask, longer, labels=True)
    assert set(np.unique(other)) <= {0, 200}
    factor = longer / 96
    rows, columns = np.nonzero(other)
    assert rows.mean() / factor == pytest.approx(13.5, abs=0.7 / min(1, factor))
    assert columns.mean() / factor == pytest.approx(13.5, abs=0.7 / min(1, factor))


def test_copies_are_changed_repeatable_and_train_s_alone():
    first, again = cut(tile=64, augment=3), cut(tile=64, augment=3)
    assert [piece.copy for piece in first] == [0, 1, 2, 3] * 2
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.mask, two.mask)
    assert any((one.image != first[0].image).any() for one in first[1:4])
    assert first[1].mask.sum() == first[0].mask.sum() > 0
    assert len(cut("test", tile=64, augment=3)) == 2


def test_uncut_splits_stay_whole():
    (piece,) = cut("test", tile=16, objects=20, uncut=("test",))
    assert (piece.stem, piece.kind) == ("smear", "whole")
    np.testing.assert_array_equal(piece.image, picture()[0])


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "nothing to cut"),
        ({"tile": 512, "overlap": 512}, "--overlap 512"),
        ({"reduce": 512, "overlap": 8}, "--overlap 8"),
        ({"tile": 512, "empty": 1.5}, "--empty 1.5"),
        ({"tile": 3}, "--tile 3"),
        ({"tile": 64, "augment": -1}, "--augment -1"),
        ({"tile": 64, "uncut": ("val",)}, "--uncut val"),
    ],
)
def test_specs_that_make_no_sense(spec, words):
    with pytest.raises(ExperimentError, match=words):
        PreparationSpec(**spec)
