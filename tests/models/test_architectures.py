"""Each architecture is what its row in the table says: settings, weights, stride, halo, classes.

Counts and graphs are looked at without memory for weights.
"""

import itertools
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest
from tiling_proofs import predict_tiled
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.config import ModelSettings
from tiledseg.config.architectures import ARCHITECTURES
from tiledseg.errors import TilingError
from tiledseg.models import BUILDERS, build_model
from tiledseg.models.encoders import efficientnet_encoder, resnet50_encoder
from tiledseg.tiling.execution.single_pass import predict_single_pass
from tiledseg.tiling.network.receptive_field import receptive_field

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architectures.md"
NAMES = list(ARCHITECTURES)


@cache
def outline(channels: int = 3, **settings: Any) -> keras.Model:
    """A network without memory for its weights; the same settings give the same one."""
    with keras.StatelessScope(initialize_variables=False):
        return build_model(ModelSettings(**settings), channels)


def learned(model: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def rows(heading: str) -> list[list[str]]:
    """Cells of the first table below a line of the page."""
    text = PAGE.read_text(encoding="utf-8").partition(heading)[2]
    lines = itertools.dropwhile(lambda line: not line.startswith("|"), text.splitlines())
    table = list(itertools.takewhile(lambda line: line.startswith("|"), lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_settings_builders_and_table_name_the_same():
    accepted = get_args(ModelSettings.model_fields["architecture"].annotation)
    assert set(accepted) == set(BUILDERS) == set(ARCHITECTURES)
    keys = frozenset().union(*(known.keys for known in ARCHITECTURES.values()))
    for_all = {"architecture", "num_classes", "dropout_rate"}
    assert keys | for_all == set(ModelSettings.model_fields)


@pytest.mark.parametrize("name", NAMES)
def test_facts_with_default_settings(name):
    known, settings = ARCHITECTURES[name], ModelSettings(architecture=name)
    model = outline(architecture=name)
    assert model.count_params() == known.parameters
    assert settings.stride == known.stride
    assert model.output_shape == (None, None, None, 1)
    assert model.get_layer("probability").activation is keras.activations.sigmoid
    if known.halo is None:
        assert known.remark
        with pytest.raises(TilingError):
            receptive_field(model)
    else:
        field = receptive_field(model)
        assert (field.halo, field.stride) == (known.halo, known.stride)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"SwinUNet"}))  # which has none
def test_running_means_follow_the_weights_within_tens_of_steps(name):
    layers = outline(architecture=name).layers
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    assert {norm.momentum for norm in norms} == {0.9}


class TestSmallNetwork:
    @pytest.mark.parametrize("name", NAMES)
    def test_gives_a_probability_per_class_and_pixel(self, small, name):
        one = small(name)
        assert one.answer.shape == (*one.images.shape[:3], 4)
        assert one.answer.dtype == np.float32
        np.testing.assert_allclose(one.answer.sum(axis=-1), 1.0, atol=1e-5)
        assert one.answer.std(axis=(1, 2)).max() > 1e-4

    @pytest.mark.parametrize("name", NAMES)
    def test_fits_usual_crops_with_one_class_and_four(self, small, name):
        for model, classes in ((outline(architecture=name), 1), (small(name).model, 4)):
            for side in (256, 512):
                crop = keras.KerasTensor((2, side, side, 3))
                assert model.compute_output_spec(crop).shape == (2, side, side, classes)

    @pytest.mark.parametrize("name", NAMES)
    def test_reads_the_settings_it_is_said_to_read(self, small, name):
        assert small(name).read == {key for key in ModelSettings.model_fields if reads(name, key)}

    @pytest.mark.parametrize("name", ["AttentionUNet", "SharpUNet", "MultiResUNet", "UNet3Plus"])
    def test_exact_ones_tile_exactly(self, small, name):
        model = small(name).model
        image = np.random.default_rng(0).integers(0, 256, (71, 90, 3), np.uint8)
        tiled = predict_tiled(model, image, max_tile=64)
        assert np.abs(tiled - predict_single_pass(model, image)).max() <= 1e-5

    def test_of_deeplab_is_exact_without_image_pooling(self, small):
        field = receptive_field(small("DeepLabV3Plus").model)
        assert field.stride == small("DeepLabV3Plus").settings.stride
        assert field.halo > 300


def reads(name: str, key: str) -> bool:
    """Whether building looks at a key; the names of two encoders tell which they are."""
    return ARCHITECTURES[name].reads(key) and key != "encoder_weights"


@pytest.mark.parametrize("name", ["SwinUNet", "EfficientUNet"])
def test_gray_images_and_mixed_precision(name, small):
    settings = small(name).settings.model_copy(update={"num_classes": 1})
    with keras.StatelessScope(initialize_variables=False):
        model = build_model(settings, 1, precision="mixed_bfloat16")
    assert model.input_shape == (None, None, None, 1)
    computed = [layer.compute_dtype for layer in model.layers if layer.weights]
    assert computed.count("bfloat16") > 0.8 * len(computed)
    assert model.get_layer("logits").compute_dtype == "float32"
    assert model.output.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("build", "settings", "last", "published"),
    [
        # without seven numbers of its normalization, which are constant here
        (efficientnet_encoder, {"efficientnet": "B0"}, "top_activation", 4_049_571 - 7),
        (resnet50_encoder, {"output_stride": 8}, "conv5_block3_out", 23_587_712),
    ],
)
def test_encoders_have_as_many_weights_as_published(build, settings, last, published):
    names = {efficientnet_encoder: "EfficientUNet", resnet50_encoder: "DeepLabV3Plus"}
    with keras.StatelessScope(initialize_variables=False):
        encoder = build(ModelSettings(architecture=names[build], **settings), 3)
    assert encoder.count_params() == published
    assert encoder.layers[-1].name == last


def test_multiresunet_has_two_numbers_less_than_published():
    model = outline(architecture="MultiResUNet", base_filters=32)
    assert model.count_params() == 7_262_750 - 2


@pytest.mark.parametrize(
    ("output_stride", "expected"),
    [(16, {"conv4": (2, 1), "conv5": (1, 2)}), (8, {"conv4": (1, 2), "conv5": (1, 4)})],
)
def test_deeplab_dilates_what_it_does_not_reduce(output_stride, expected):
    given = {} if output_stride == 16 else {"output_stride": output_stride}
    model = outline(architecture="DeepLabV3Plus", **given)
    for stage, (stride, dilation) in expected.items():
        assert model.get_layer(f"{stage}_block1_1_conv").strides == (stride, stride)
        assert model.get_layer(f"{stage}_block2_2_conv").dilation_rate == (dilation, dilation)
    assert model.get_layer("pyramid_rate6_conv").dilation_rate == (96 // output_stride,) * 2


class TestPage:
    def test_table_is_that_of_the_package(self):
        shown = {cells[0].strip("`"): cells[1:] for cells in rows("With default settings")}
        assert list(shown) == NAMES
        for name, known in ARCHITECTURES.items():
            halo = "-" if known.halo is None else f"{known.halo} px"
            exact = "not exact" if known.halo is None else "exact"
            facts = [known.title, f"{known.parameters:,}", f"{known.stride} px", halo, exact]
            assert shown[name] == [*facts, known.paper]

    def test_keys_are_those_that_are_read(self):
        shown = {cells[0].strip("`"): cells[1] for cells in rows("## Settings")}
        shared = {"architecture", "num_classes", "dropout_rate"}
        assert set(shown) == set(ModelSettings.model_fields) - shared
        for key, readers in shown.items():
            assert readers.split(", ") == [n for n in NAMES if ARCHITECTURES[n].reads(key)], key

    @pytest.mark.parametrize(
        ("name", "chosen", "count"), [row[:3] for row in rows("## Weights, c")]
    )
    def test_weights_compared_with_publications(self, name, chosen, count):
        """The settings of a row give its count, and it is the published one where that is."""
        settings = dict(re.findall(r"(\w+): ([\w.]+)", chosen))
        channels = int(settings.pop("channels", 3))
        typed = {key: int(v) if v.isdigit() else v for key, v in settings.items()}
        if "compact" in typed:
            typed["compact"] = True
        if channels != 3:
            typed["channels"] = channels
        model = outline(architecture=name.strip("`"), **typed)
        assert f"{learned(model):,}" == count

    def test_the_command_lists_the_same(self):
        shown = CliRunner().invoke(app, ["architectures"]).output
        for name, known in ARCHITECTURES.items():
            (line,) = re.findall(rf"^{name} .*$", shown, re.MULTILINE)
            assert f"{known.parameters:,}" in line
            assert f"{known.stride} px" in line
            assert ("not exact" in line) == (known.halo is None)
            assert known.paper in shown
