"""Halos are dropped on the way up, and no value changes by it."""

import os
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.config.architectures import ARCHITECTURES
from tiledseg.models import build_model
from tiledseg.tiling.execution.single_pass import predict_single_pass
from tiledseg.tiling.execution.streaming import predict_regions
from tiledseg.tiling.geometry.grid import plan_grid
from tiledseg.tiling.geometry.regions import ArraySink, ArraySource
from tiledseg.tiling.network import trimming
from tiledseg.tiling.network.exactness import model_field
from tiledseg.tiling.network.trimming import corners, plan_trims, trim_pass


def grid_of(model, height, width, spare=4):
    field = model_field(model)
    side = (-(-2 * field.halo // field.stride) + 1 + spare) * field.stride
    return plan_grid(height, width, halo=field.halo, stride=field.stride, max_tile=side)


def one_by_one(model, image, grid):
    """Predict an image window by window; several at once are not trimmed."""
    sink = ArraySink(*image.shape[:2], model.output_shape[-1])
    predict_regions(model, ArraySource(image), sink, grid=grid, most_pixels=1)
    return sink.values


UNETS = {
    "3 levels": {"levels": 3},
    "4 levels, norm": {"levels": 4, "norm": True, "seed": 5},
    "3 levels, dilated": {"levels": 3, "dilation": 2, "seed": 2},
    "3 levels, bilinear": {"levels": 3, "up": "bilinear", "seed": 3},
    "3 levels, overlapping transposed": {"levels": 3, "up": "transpose3", "seed": 6},
    "3 levels, even kernel": {"levels": 3, "kernel": 4, "seed": 7},
    "3 levels, 1 x 5": {"levels": 3, "kernel": (1, 5), "seed": 8},
}


@pytest.mark.parametrize("options", UNETS.values(), ids=UNETS)
def test_trimmed_is_the_whole_answer(make_unet, noise, options):
    model = make_unet(**options)
    for height, width in ((300, 417), (70, 501)):
        image, grid = noise(height, width), grid_of(model, height, width)
        assert trim_pass(model, grid) is not None
        full = predict_single_pass(model, image)
        assert np.abs(one_by_one(model, image, grid) - full).max() <= 1e-5
        assert 0.01 < (full > 0.5).mean() < 0.99


EXACT = [name for name, known in ARCHITECTURES.items() if known.halo is not None]


@pytest.mark.parametrize("name", EXACT)
def test_every_exact_architecture_is_trimmed(name, noise):
    keras.utils.set_random_seed(0)
    small = {"base_filters": 4, "num_layers": 3}
    chosen = {key: value for key, value in small.items() if ARCHITECTURES[name].reads(key)}
    model = build_model(ModelSettings(architecture=name, **chosen), 3)
    field = model_field(model)
    side = 2 * field.halo + 3 * field.stride
    height, width = field.stride, side + 2 * field.stride
    grid = grid_of(model, height, width, spare=1)
    assert len(grid.tiles) > 1
    assert trim_pass(model, grid) is not None
    image = noise(height, width)
    full = predict_single_pass(model, image)
    assert np.abs(one_by_one(model, image, grid) - full).max() <= 1e-5
    assert full.std() > 1e-4


@pytest.mark.parametrize("stage", [0, 1])
def test_a_margin_too_small_is_caught(make_unet, noise, monkeypatch, stage):
    model, image = make_unet(3, kernel=7), noise(200, 300)
    grid, right = grid_of(model, 200, 300, spare=12), trimming._network

    def wrong(*arguments):
        network = right(*arguments)
        margins = [margin * (place > stage) for place, margin in enumerate(network.margins)]
        return replace(network, margins=tuple(margins))

    full = predict_single_pass(model, image)
    assert np.abs(one_by_one(model, image, grid) - full).max() <= 1e-5
    monkeypatch.setattr(trimming, "_network", wrong)
    monkeypatch.setattr(trimming, "_WORTH", 1)
    assert np.abs(one_by_one(model, image, grid) - full).max() > 1e-3


@settings(max_examples=100)
@given(
    lengths=st.tuples(st.integers(1, 300), st.integers(1, 60)),
    halo=st.integers(0, 30),
    stride=st.sampled_from([1, 2, 8, 16]),
    spare=st.integers(0, 9),
    shares=st.lists(st.floats(0, 1), max_size=4),
)
def test_every_shape_holds_what_its_stages_need(lengths, halo, stride, spare, shares):
    side = (-(-2 * halo // stride) + 1 + spare) * stride
    grid = plan_grid(*lengths, halo=halo, stride=stride, max_tile=side)
    margins = [*sorted(int(share * halo) for share in shares), halo]
    trims = plan_trims(grid, margins)
    assert trims.shapes[0] == grid.tile_shape
    assert len(trims.of_stage) == len(margins)
    for tile in grid.tiles:
        starts = corners(tile, grid, trims)
        assert starts[0].tolist() == [0, 0]
        assert not (starts % stride).any()
        ends = starts + trims.shapes
        assert (starts[1:] >= starts[:-1]).all()
        assert (ends[1:] <= ends[:-1]).all()
        for margin, place in zip(margins, trims.of_stage, strict=True):
            for axis, core in enumerate(tile.core_in_window):
                length = grid.tile_shape[axis]
                assert starts[place][axis] <= max(core.start - margin, 0)
                assert ends[place][axis] >= min(core.stop + margin, length)


def test_less_is_computed(make_unet):
    model = make_unet(4)
    grid = grid_of(model, 1000, 1000, spare=8)
    trims = plan_trims(grid, trimming._network(model, grid.stride).margins)
    areas = [height * width for height, width in trims.shapes]
    assert areas == sorted(areas, reverse=True)
    assert areas[-1] < 0.75 * areas[0]


@pytest.mark.parametrize(
    "case", ["one window", "nothing grows", "called with a mask", "a function of one's own"]
)
def test_where_there_is_nothing_to_trim(make_unet, make_model, noise, case):
    def masked(tensor):
        small = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, padding="same")(tensor))
        mask = keras.ops.ones((1, 1, 1))
        return layers.UpSampling2D(2)(layers.BatchNormalization()(small, mask=mask))

    def own(tensor):
        small = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, padding="same")(tensor))
        return layers.UpSampling2D(2)(layers.Activation(lambda x: 2 * x)(small))

    model = {
        "one window": lambda: make_unet(3),
        "nothing grows": lambda: make_model(layers.Conv2D(2, 3, padding="same")),
        "called with a mask": lambda: make_model(masked),
        "a function of one's own": lambda: make_model(own),
    }[case]()
    spare = 99 if case == "one window" else 4
    image, grid = noise(60, 90), grid_of(model, 60, 90, spare)
    assert trim_pass(model, grid) is None
    full = predict_single_pass(model, image)
    np.testing.assert_allclose(one_by_one(model, image, grid), full, atol=1e-5 * full.max())


def test_one_graph_serves_all_sizes(make_unet, noise, monkeypatch):
    """Python runs the layers when a graph is made, and never again."""
    traced, apply = [], trimming._Network.apply

    def watched(network, *arguments):
        traced.append(arguments[-1])
        return apply(network, *arguments)

    monkeypatch.setattr(trimming._Network, "apply", watched)
    model = make_unet(3)
    for side in (200, 230, 260, 200):
        image = noise(side, side + 40)
        values = one_by_one(model, image, grid_of(model, side, side + 40))
        assert np.abs(values - predict_single_pass(model, image)).max() <= 1e-5
    assert 0 < len(traced) == len(set(traced)) < 3


def test_changed_weights_are_seen(make_unet, noise):
    model, image = make_unet(3), noise(120, 200)
    grid = grid_of(model, 120, 200)
    before = one_by_one(model, image, grid)
    model.set_weights([weight * 0.5 for weight in model.get_weights()])
    after = one_by_one(model, image, grid)
    assert np.abs(after - before).max() > 0.01
    assert np.abs(after - predict_single_pass(model, image)).max() <= 1e-5


JAX = """
import tiledseg, numpy as np
from tiledseg.backend import load_backend
load_backend()
import keras
from tiledseg.config.experiment import Experiment
from tiledseg.models import build_model
from tiledseg.tiling.execution.single_pass import predict_single_pass
from tiledseg.tiling.geometry.plan import plan_tiles
from tiledseg.tiling.geometry.regions import ArraySink, ArraySource
from tiledseg.tiling.execution.streaming import predict_regions
from tiledseg.tiling.network.trimming import trim_pass
assert keras.config.backend() == "jax"
experiment = Experiment.model_validate(
    {"dataset": {"name": "Any"}, "model": {"base_filters": 4, "num_layers": 2},
     "tiling": {"max_tile": 96}})
model = build_model(experiment.model, 3)
image = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
grid = plan_tiles(model, 150, 200, experiment.tiling, 64).grid
assert len(grid.tiles) > 1 and trim_pass(model, grid) is not None
sink = ArraySink(150, 200, 1)
predict_regions(model, ArraySource(image), sink, grid=grid, most_pixels=1)
print(np.abs(sink.values - predict_single_pass(model, image)).max() <= 1e-5)
"""


@pytest.mark.soak
def test_trimmed_by_jax():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", JAX], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True"], done.stderr
