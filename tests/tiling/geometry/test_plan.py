import math

import keras
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from keras import layers

from tiledseg.config import TilingSettings
from tiledseg.errors import TilingError
from tiledseg.tiling.execution.memory import bytes_per_pixel
from tiledseg.tiling.execution.runtimes import RUNTIMES
from tiledseg.tiling.geometry.grid import plan_grid
from tiledseg.tiling.geometry.plan import fit_grid, plan_tiles
from tiledseg.tiling.network.exactness import model_field


@settings(max_examples=60)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    halo=st.integers(0, 30),
    stride=st.sampled_from([1, 2, 4, 8, 16]),
    side=st.integers(8, 120),
)
@example(height=1, width=225, halo=0, stride=8, side=23)  # 15 short tiles are less than 4 long ones
def test_never_more_work_than_square_tiles_of_the_same_area(height, width, halo, stride, side):
    try:
        square = plan_grid(height, width, halo=halo, stride=stride, max_tile=side)
    except TilingError:
        assume(False)
    fitted = fit_grid(height, width, halo=halo, stride=stride, most_pixels=side**2)
    assert fitted.work_ratio <= square.work_ratio
    assert fitted.tile_shape[0] * fitted.tile_shape[1] <= side**2
    covered = np.zeros((height, width), int)
    for tile in fitted.tiles:
        covered[tile.core] += 1
        for axis in (0, 1):
            window, core = tile.window[axis], tile.core[axis]
            assert window.start % stride == 0
            assert window.start == 0 or core.start - window.start >= halo
            end = fitted.padded_shape[axis]
            assert window.stop == end or window.stop - core.stop >= halo
    assert (covered == 1).all()


@settings(max_examples=25)
@given(
    down=st.integers(1, 14),
    across=st.integers(1, 14),
    overlap=st.integers(0, 3),
    area=st.integers(16, 90),
)
def test_the_work_is_the_least_of_all_windows(down, across, overlap, area):
    """Against every height and width that there is, in strides."""

    def tiles(total, side):
        if side >= total:
            return 1 if side == total else None
        return -(-(total - overlap) // (side - overlap)) if side > overlap else None

    least = min(
        (
            tiles(down, h) * h * tiles(across, w) * w
            for h in range(1, down + 1)
            for w in range(1, across + 1)
            if h * w <= area and tiles(down, h) and tiles(across, w)
        ),
        default=None,
    )
    assume(least)
    grid = fit_grid(8 * down, 8 * across, halo=4 * overlap, stride=8, most_pixels=64 * area)
    assert grid.work_ratio == pytest.approx(least / (down * across))


def test_a_narrow_image_gets_long_tiles():
    grid = fit_grid(513, 4099, halo=96, stride=16, most_pixels=1536**2)
    assert len(grid.tiles) == 1
    square = plan_grid(513, 4099, halo=96, stride=16, max_tile=1536)
    assert len(square.tiles) > 1


def test_no_room_for_the_halo():
    with pytest.raises(TilingError, match=r"set tiling\.max_tile to"):
        fit_grid(500, 500, halo=93, stride=16, most_pixels=128**2)


class TestMemory:
    def test_by_hand(self, make_model):
        """The widest moment: 8 and 16 channels of float32, and two thirds for the backend."""
        model = make_model(
            lambda t: layers.Conv2D(1, 1)(
                layers.ReLU()(layers.Conv2D(16, 3, padding="same")(layers.Conv2D(8, 1)(t)))
            )
        )
        assert bytes_per_pixel(model) == (8 + 16) * 4 * 5 // 3

    def test_a_skip_is_held_and_depth_is_cheap(self, make_model):
        def body(tensor):
            skip = layers.Conv2D(6, 1)(tensor)
            deep = layers.Conv2D(400, 1)(layers.MaxPooling2D(10)(skip))
            return layers.Concatenate()([layers.UpSampling2D(10)(layers.Conv2D(2, 1)(deep)), skip])

        assert bytes_per_pixel(make_model(body)) == pytest.approx((6 + 2 + 8) * 4 * 5 / 3, abs=1)

    def test_half_precision_takes_half(self, make_model):
        plain = make_model(layers.Conv2D(64, 3, padding="same"))
        half = make_model(layers.Conv2D(64, 3, padding="same", dtype="bfloat16"))
        assert bytes_per_pixel(half) < 0.6 * bytes_per_pixel(plain)

    def test_unknown_layers_are_no_obstacle(self, make_model):
        model = make_model(
            lambda t: layers.Multiply()([t, layers.GlobalAveragePooling2D(keepdims=True)(t)])
        )
        assert bytes_per_pixel(model) > 0

    def test_no_graph(self):
        class Subclassed(keras.Model):
            def call(self, inputs):
                return inputs

        assert bytes_per_pixel(Subclassed()) is None


class TestPlan:
    def test_explains_itself(self, make_unet):
        model = make_unet(3)
        plan = plan_tiles(model, 500, 700, TilingSettings(max_tile=256), 128)
        field = model_field(model)
        words = "\n".join(plan.lines())
        rows, columns = plan.grid.tile_shape
        assert plan.mode == "exact"
        assert f"{len(plan.grid.tiles)} (" in words
        assert f"of {rows} x {columns} px; halo {field.halo} px, stride 4 px" in words
        assert f"{plan.grid.work_ratio:.2f} times" in words
        assert plan.memory == bytes_per_pixel(make_unet(3)) * rows * columns * (
            2**18 // (rows * columns)
        )

    def test_memory_makes_tiles_smaller(self, make_unet):
        model = make_unet(3)
        wide = plan_tiles(model, 500, 700, TilingSettings(max_tile=512), 128)
        small = plan_tiles(model, 500, 700, TilingSettings(memory_gigabytes=0.01), 128)
        assert (
            max(wide.memory, 0.03e9)
            > 0.01e9
            > bytes_per_pixel(model) * np.prod(small.grid.tile_shape)
        )
        assert len(small.grid.tiles) > len(wide.grid.tiles)

    @pytest.mark.parametrize("runtime", RUNTIMES)
    @pytest.mark.parametrize("mode", ["exact", "blend"])
    @pytest.mark.parametrize("gigabytes", [0.002, 0.003, 0.01, 0.1])
    @pytest.mark.parametrize(("height", "width"), [(500, 700), (70, 3000), (130, 131)])
    def test_a_pass_keeps_within_the_memory(
        self, make_unet, mode, gigabytes, height, width, runtime
    ):
        """Small tiles that go through the network together are counted together."""
        model = make_unet(3)
        settings = TilingSettings(mode=mode, memory_gigabytes=gigabytes, max_tile=64)
        plan = plan_tiles(model, height, width, settings, 64, runtime)
        assert plan.memory <= gigabytes * 1e9
        rows, columns = plan.grid.tile_shape
        assert plan.most_pixels * bytes_per_pixel(model, runtime) <= gigabytes * 1e9
        assert rows * columns <= plan.most_pixels

    @pytest.mark.parametrize(("height", "width"), [(500, 700), (3000, 70), (4096, 4096)])
    def test_openvino_has_larger_tiles_in_the_same_memory(self, make_unet, height, width):
        model, settings = make_unet(3), TilingSettings(max_tile=512)
        plain = plan_tiles(model, height, width, settings, 64, "keras")
        sparing = plan_tiles(model, height, width, settings, 64, "openvino")
        assert sparing.memory <= bytes_per_pixel(model) * settings.max_tile**2
        assert sparing.grid.work_ratio <= plain.grid.work_ratio
        assert math.prod(sparing.grid.tile_shape) >= math.prod(plain.grid.tile_shape)
        if min(height, width) > settings.max_tile:
            assert sparing.grid.work_ratio < plain.grid.work_ratio

    def test_a_narrow_image_needs_no_square_tile(self, make_unet):
        """What one window of all its rows needs is enough."""
        model = make_unet(3)
        field = model_field(model)
        side = (-(-2 * field.halo // field.stride) + 1) * field.stride
        gigabytes = 1.001 * 8 * side * bytes_per_pixel(model) / 1e9
        settings = TilingSettings(memory_gigabytes=gigabytes)
        plan = plan_tiles(model, 7, 3000, settings, 64)
        assert plan.grid.tile_shape == (8, side)
        with pytest.raises(TilingError, match="memory_gigabytes"):
            plan_tiles(model, 300, 3000, settings, 64)

    def test_a_window_that_is_too_large_is_refused_with_what_it_needs(self, make_unet):
        settings = TilingSettings(mode="blend", memory_gigabytes=1e-5)
        with pytest.raises(TilingError, match=r"window of 128 x 128 px needs 16384 pix") as caught:
            plan_tiles(make_unet(3), 500, 700, settings, 128)
        enough = float(str(caught.value).split("set it to ")[1].split()[0])
        settings = TilingSettings(mode="blend", memory_gigabytes=enough)
        assert plan_tiles(make_unet(3), 500, 700, settings, 128).memory <= enough * 1e9

    def test_what_cannot_be_estimated_cannot_be_bounded(self, make_unet):
        class Subclassed(keras.Model):
            input_shape = (None, None, None, 3)

            def call(self, inputs):
                return inputs

        settings = TilingSettings(mode="blend", memory_gigabytes=1.0)
        with pytest.raises(TilingError, match=r"set tiling\.memory_gigabytes to null"):
            plan_tiles(Subclassed(), 500, 700, settings, 128)
        plan = plan_tiles(Subclassed(), 500, 700, TilingSettings(mode="blend"), 128)
        assert (plan.memory, plan.most_pixels) == (None, None)

    def test_too_little_memory(self, make_unet):
        settings = TilingSettings(memory_gigabytes=1e-5)
        with pytest.raises(
            TilingError, match=r"memory_gigabytes is 1e-05.*set it to 0\.\d+ or more"
        ):
            plan_tiles(make_unet(3), 500, 700, settings, 128)

    def test_the_memory_of_the_message_works(self, make_unet):
        model = make_unet(3)
        with pytest.raises(TilingError) as caught:
            plan_tiles(model, 500, 700, TilingSettings(memory_gigabytes=1e-5), 128)
        enough = float(str(caught.value).split("set it to ")[1].split()[0])
        plan_tiles(model, 500, 700, TilingSettings(memory_gigabytes=enough), 128)

    def test_auto_blends_what_cannot_be_exact_and_says_so_once(self, make_model, caplog):
        model = make_model(layers.GroupNormalization(1, name="whitening"))
        for _ in range(2):
            plan = plan_tiles(model, 100, 150, TilingSettings(), 64)
        assert plan.mode == "blend"
        assert plan.grid.tile_shape == (64, 64)
        (record,) = caplog.records
        assert "'whitening' (GroupNormalization)" in record.getMessage()
        assert "blended instead" in record.getMessage()
        assert "overlap 16 px or more, hann window" in "\n".join(plan.lines())

    def test_exact_is_not_given_up_silently(self, make_model):
        model = make_model(layers.GroupNormalization(1))
        with pytest.raises(TilingError, match="cannot be tiled exactly"):
            plan_tiles(model, 100, 150, TilingSettings(mode="exact"), 64)

    def test_a_model_of_one_size_has_its_own_windows(self):
        model = keras.Sequential([keras.Input((24, 40, 3)), layers.Conv2D(1, 3, padding="same")])
        assert plan_tiles(model, 100, 150, TilingSettings(), 64).grid.tile_shape == (24, 40)

    def test_blending_may_be_asked_for(self, make_unet):
        plan = plan_tiles(make_unet(2), 100, 150, TilingSettings(mode="blend", overlap=20), 64)
        assert (plan.mode, plan.grid.tile_shape) == ("blend", (64, 64))
        assert "tiling.mode asks for it" in plan.lines()[0]
