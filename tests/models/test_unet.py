"""The U-Net has the levels, kernels, dilations and dropout that its settings say."""

import keras
import numpy as np
import pytest
from tiling_proofs import perturbed_halo, predict_tiled

from tiledseg.config import ModelSettings
from tiledseg.models import build_model
from tiledseg.tiling.execution.single_pass import predict_single_pass
from tiledseg.tiling.network.receptive_field import receptive_field


def outline(settings: ModelSettings) -> keras.Model:
    """The network without memory for its weights."""
    with keras.StatelessScope(initialize_variables=False):
        return build_model(settings, 3)


def levels(layers: int) -> list[str]:
    """Names of the pairs of convolutions from the top down and up again."""
    down = range(layers - 1)
    return [*(f"down{n}" for n in down), "bridge", *(f"up{n}" for n in reversed(down))]


def test_the_source_network_has_as_many_parameters_as_its_authors_report():
    source = ModelSettings(base_filters=16, base_kernels=7, num_layers=8, normalization="none")
    assert outline(source).count_params() == 124_557_041


def test_parameters_of_a_small_network_counted_by_hand():
    """(inputs * kernel area + 1) * outputs, for each convolution in order."""
    settings = ModelSettings(base_filters=2, base_kernels=5, num_layers=2, normalization="none")
    counted = [
        (3 * 25 + 1) * 2,
        (2 * 25 + 1) * 2,
        (2 * 9 + 1) * 4,  # bridge: kernels two less, filters doubled
        (4 * 9 + 1) * 4,
        (4 * 4 + 1) * 2,  # enlarged
        (4 * 25 + 1) * 2,  # joined with the level's own
        (2 * 25 + 1) * 2,
        2 * 1 + 1,
    ]
    assert outline(settings).count_params() == sum(counted)


class TestLevels:
    @pytest.mark.parametrize(
        ("base", "kernels"),
        [(3, [3, 3, 3, 3]), (5, [5, 3, 3, 3]), (7, [7, 5, 3, 3]), (15, [15, 13, 11, 9])],
    )
    def test_kernels_shrink_by_two_to_three(self, base, kernels):
        model = outline(ModelSettings(base_kernels=base, num_layers=4, base_filters=1))
        expected = [*kernels, *reversed(kernels[:-1])]
        for name, kernel in zip(levels(4), expected, strict=True):
            for index in (1, 2):
                assert model.get_layer(f"{name}_{index}_conv").kernel_size == (kernel, kernel)

    @pytest.mark.parametrize(
        ("base", "dilations"), [(1, [1, 1, 1, 1]), (3, [3, 2, 1, 1]), (8, [8, 7, 6, 5])]
    )
    def test_dilation_falls_by_one_to_one(self, base, dilations):
        model = outline(ModelSettings(dilation=base, num_layers=4, base_filters=1))
        expected = [*dilations, *reversed(dilations[:-1])]
        for name, dilation in zip(levels(4), expected, strict=True):
            for index in (1, 2):
                assert model.get_layer(f"{name}_{index}_conv").dilation_rate == (dilation, dilation)

    def test_dropout_grows_with_the_level(self):
        model = outline(ModelSettings(dropout_rate=0.04, num_layers=4, base_filters=1))
        expected = [0.04, 0.08, 0.12, 0.16, 0.12, 0.08, 0.04]
        for name, rate in zip(levels(4), expected, strict=True):
            assert model.get_layer(f"{name}_dropout").rate == pytest.approx(rate)

    def test_without_dropout_there_are_no_such_layers(self):
        model = outline(ModelSettings(dropout_rate=0.0, num_layers=3))
        assert not [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]

    def test_filters_double(self):
        model = outline(ModelSettings(base_filters=3, num_layers=4))
        for name, filters in zip(levels(4), [3, 6, 12, 24, 12, 6, 3], strict=True):
            assert model.get_layer(f"{name}_2_conv").filters == filters

    @pytest.mark.parametrize("layers", [2, 3, 9])
    def test_all_levels_are_there(self, layers):
        model = outline(ModelSettings(base_filters=1, num_layers=layers))
        pools = [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
        assert len(pools) == layers - 1
        for name in levels(layers):
            assert model.get_layer(f"{name}_2").output.shape[0] is None


class TestNormalization:
    def test_batch_replaces_the_bias(self):
        model = outline(ModelSettings(num_layers=2, normalization="batch"))
        norms = [
            layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
        ]
        assert len(norms) == 2 * len(levels(2))
        assert not model.get_layer("down0_1_conv").use_bias
        assert model.get_layer("logits").use_bias

    def test_none(self):
        model = outline(ModelSettings(num_layers=2, normalization="none"))
        assert "BatchNormalization" not in {type(layer).__name__ for layer in model.layers}
        assert model.get_layer("down0_1_conv").use_bias


class TestForward:
    def test_dropout_acts_in_training_alone(self):
        image = np.full((1, 16, 16, 3), 200, np.uint8)
        settings = ModelSettings(
            base_filters=4, num_layers=2, dropout_rate=0.3, normalization="none"
        )
        model = build_model(settings, 3)
        first, second = (np.asarray(model(image, training=False)) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        first, second = (np.asarray(model(image, training=True)) for _ in range(2))
        assert not np.array_equal(first, second)

    def test_a_skip_connection_keeps_what_pooling_loses(self):
        """A pixel's neighbors in its pooling window can be told apart."""
        settings = ModelSettings(base_filters=4, num_layers=3, normalization="none")
        keras.utils.set_random_seed(5)
        model = build_model(settings, 3)
        image = np.zeros((1, 16, 16, 3), np.uint8)
        here, there = image.copy(), image.copy()
        here[0, 8, 8], there[0, 9, 9] = 255, 255
        answers = [np.asarray(model(shown, training=False)) for shown in (here, there)]
        assert np.abs(answers[0] - answers[1]).max() > 1e-4


@pytest.mark.parametrize("reduction", [2, 4])
def test_a_reduced_network_answers_at_full_size_and_tiles_exactly(reduction):
    settings = ModelSettings(num_layers=2, base_filters=4, reduction=reduction, dropout_rate=0.0)
    assert settings.stride == 2 * reduction
    model = build_model(settings, 3)
    image = np.random.default_rng(0).integers(0, 256, (150, 131, 3), np.uint8)
    field = receptive_field(model)
    assert field.stride == settings.stride
    assert field.halo == perturbed_halo(model)
    tiled = predict_tiled(model, image, max_tile=96)
    assert tiled.shape == (150, 131, 1)
    assert np.abs(tiled - predict_single_pass(model, image)).max() <= 1e-5


def test_a_reduced_network_sees_averages():
    settings = ModelSettings(num_layers=2, base_filters=4, reduction=2, dropout_rate=0.0)
    model = build_model(settings, 3)
    image = np.random.default_rng(0).integers(0, 128, (32, 32, 3)).astype("float32") * 2
    means = image.reshape(16, 2, 16, 2, 3).mean((1, 3)).repeat(2, 0).repeat(2, 1)
    assert np.allclose(model(image[None]), model(means[None]), atol=1e-6)
