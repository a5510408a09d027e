import gc
import weakref

import cv2
import keras
import numpy as np
import pytest
from keras import layers
from tiling_proofs import predict_tiled

from tiledseg.errors import TilingError
from tiledseg.tiling.execution.single_pass import predict_resized, predict_single_pass
from tiledseg.tiling.geometry.grid import plan_grid
from tiledseg.tiling.network import exactness
from tiledseg.tiling.network.exactness import model_field
from tiledseg.tiling.network.receptive_field import ReceptiveField
from tiledseg.tiling.seams import count_flipped_labels, max_difference

UNETS = {
    "3 levels": {"levels": 3},
    "3 levels, norm": {"levels": 3, "norm": True, "seed": 1},
    "3 levels, dilated": {"levels": 3, "dilation": 2, "seed": 2},
    "3 levels, bilinear": {"levels": 3, "up": "bilinear", "norm": True, "seed": 3},
    "4 levels, nearest": {"levels": 4, "up": "nearest", "seed": 4},
    "4 levels, norm": {"levels": 4, "norm": True, "seed": 5},
}


def tile_of(model: keras.Model, spare: int) -> int:
    """A tile whose core is at least a stride, and spare strides more."""
    field = model_field(model)
    overlap = -(-2 * field.halo // field.stride)
    return (overlap + 1 + spare) * field.stride


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 37), (19, 37), (513, 1099)])
def test_identity_gives_the_image_back(identity, noise, height, width):
    image = noise(height, width)
    for prediction in (
        predict_tiled(identity, image, max_tile=64),
        predict_single_pass(identity, image),
    ):
        assert prediction.dtype == np.float32
        np.testing.assert_array_equal(prediction, image)


@pytest.mark.parametrize("options", UNETS.values(), ids=UNETS)
def test_tiled_is_the_whole_answer(make_unet, noise, options):
    model = make_unet(**options)
    for height, width, spare in (
        (300, 417, 8),
        (513, 799, 16),
        (40, 40, 0),
        (1, 1, 0),
        (1, 211, 0),
    ):
        image = noise(height, width)
        full = predict_single_pass(model, image)
        tiled = predict_tiled(model, image, max_tile=tile_of(model, spare))
        assert tiled.shape == full.shape == (height, width, 1)
        assert max_difference(tiled, full) <= 1e-5
        # float32 rounds by the shape of what is computed: on the cut itself a label is a toss
        certain = np.abs(full - 0.5) > 1e-6
        assert count_flipped_labels(tiled * certain, full * certain) == 0
        if width > 300:
            assert 0.01 < (full > 0.5).mean() < 0.99


@pytest.mark.parametrize("options", UNETS.values(), ids=UNETS)
def test_a_halo_too_small_is_caught(make_unet, noise, options):
    # overlaps are rounded up to the stride: at 4 levels the first stride taken away is spare
    strides = 1 if options["levels"] == 3 else 2
    model, image = make_unet(**options), noise(180, 211)
    field = model_field(model)
    short = ReceptiveField(field.halo - strides * field.stride, field.stride)
    tiled = predict_tiled(model, image, max_tile=tile_of(model, 0), field=short)
    full = predict_single_pass(model, image)
    assert max_difference(tiled, full) > 1e-3
    assert count_flipped_labels(tiled, full) > 0


def test_origins_off_the_stride_are_caught(make_unet, noise):
    model, image = make_unet(3), noise(256, 256)
    halved = ReceptiveField(model_field(model).halo, 2)
    tiled = predict_tiled(model, image, max_tile=56, field=halved)
    assert max_difference(tiled, predict_single_pass(model, image)) > 1e-3


def test_shifting_graph_is_tiled_exactly(make_model, noise):
    def body(tensor):
        tensor = layers.ZeroPadding2D(((5, 0), (0, 3)))(layers.MaxPooling2D(2)(tensor))
        tensor = layers.Conv2D(4, 3, padding="same")(layers.Cropping2D(((0, 5), (3, 0)))(tensor))
        tensor = layers.ZeroPadding2D(((0, 5), (3, 0)))(tensor)
        return layers.UpSampling2D(2)(layers.Cropping2D(((5, 0), (0, 3)))(tensor))

    model, image = make_model(body), noise(120, 131)
    tiled = predict_tiled(model, image, max_tile=tile_of(model, 1))
    assert max_difference(tiled, predict_single_pass(model, image)) <= 1e-5 * 255


def test_many_tiles_were_in_play(make_unet):
    model = make_unet(3)
    field = model_field(model)
    grid = plan_grid(513, 799, halo=field.halo, stride=field.stride, max_tile=tile_of(model, 16))
    assert len(grid.tiles) > 50


@pytest.mark.parametrize(("up", "expected"), [("transpose", 1), ("bilinear", 2)])
def test_no_retracing_and_no_output(make_unet, noise, capfd, up, expected):
    """Python runs the graph when it is traced, and never again."""
    model = make_unet(2, up=up)
    model_field(model)
    traced = []
    looked_at = layers.Activation(lambda x: traced.append(x.shape) or x)
    seen = keras.Model(model.input, looked_at(model.output))
    traced.clear()
    capfd.readouterr()
    for _ in range(2):
        for side in (100, 60):
            predict_tiled(seen, noise(side, 120), max_tile=40, field=model_field(model))
        assert len(traced) == expected
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("up", ["transpose", "bilinear"])
def test_changing_shapes(make_unet, noise, up):
    model = make_unet(2, up=up, channels=1)
    small = predict_single_pass(model, noise(24, 24, 1))
    for side in (32, 40, 48, 56, 64, 72, 80, 88, 96):
        assert predict_single_pass(model, noise(side, side, 1)).shape == (side, side, 1)
    np.testing.assert_array_equal(predict_single_pass(model, noise(24, 24, 1)), small)


def test_field_is_verified_once_and_forgotten_with_the_model(make_unet, noise, monkeypatch):
    verified = []
    monkeypatch.setattr(exactness, "verify_receptive_field", lambda *_: verified.append(1))
    model = make_unet(2, up="bilinear")
    for side in (16, 24):
        predict_single_pass(model, noise(side, side))
    assert model_field(model) is model_field(model)
    assert verified == [1]
    gone, known = weakref.ref(model), len(exactness._fields)
    del model
    gc.collect()
    assert gone() is None
    assert len(exactness._fields) < known


def test_hidden_reach_is_refused_at_first_use(make_model, noise):
    model = make_model(layers.Activation(lambda x: x - keras.ops.max(x)))
    with pytest.raises(TilingError, match="cannot be tiled exactly"):
        predict_tiled(model, noise(20, 20), max_tile=64)


def test_whole_is_resized_there_and_back(identity, noise):
    image = noise(60, 90)
    square = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    prediction = predict_resized(identity, image, 32)
    assert prediction.dtype == np.float32
    np.testing.assert_allclose(prediction, cv2.resize(square, (90, 60)), atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 200), (32, 32)])
def test_whole_has_the_images_size(make_model, noise, channels, height, width):
    model = make_model(layers.Rescaling(1.0), channels)
    image = noise(height, width, channels)
    prediction = predict_resized(model, image, 32)
    assert prediction.shape == (height, width, channels)
    if (height, width) == (32, 32):
        np.testing.assert_array_equal(prediction, image)


PREDICTIONS = {
    "tiled": lambda model, image: predict_tiled(model, image, max_tile=64),
    "single_pass": predict_single_pass,
    "resized": lambda model, image: predict_resized(model, image, 32),
}


@pytest.mark.parametrize("predict", PREDICTIONS.values(), ids=PREDICTIONS)
class TestRefusals:
    def test_channels(self, predict, identity, noise):
        with pytest.raises(TilingError, match=r"has 1 channels, model .* reads 3; convert"):
            predict(identity, noise(20, 30, 1))

    @pytest.mark.parametrize("shape", [(20, 30), (1, 20, 30, 3), (0, 30, 3)])
    def test_shape(self, predict, identity, shape):
        with pytest.raises(TilingError, match=r"give \(height, width, channels\)"):
            predict(identity, np.zeros(shape, np.uint8))

    def test_dtype(self, predict, identity):
        with pytest.raises(TilingError, match=r"dtype float32 .* give uint8"):
            predict(identity, np.zeros((20, 30, 3), np.float32))

    def test_nan(self, predict, make_model, noise):
        model = make_model(layers.Conv2D(1, 3, padding="same"))
        model.layers[-1].kernel.assign(np.full((3, 3, 3, 1), np.nan))
        with pytest.raises(TilingError, match="NaN or infinity at row 0, column 0"):
            predict(model, noise(100, 130))


def test_tile_too_small(make_unet, noise):
    with pytest.raises(TilingError, match=r"set tiling\.max_tile to"):
        predict_tiled(make_unet(4), noise(300, 300), max_tile=64)


def test_input_of_one_size(noise):
    model = keras.Sequential([keras.Input((64, 64, 3)), layers.Conv2D(1, 3, padding="same")])
    with pytest.raises(TilingError, match=r"\(64, 64\) pixels alone; build it with Input"):
        predict_tiled(model, noise(64, 64), max_tile=64)
