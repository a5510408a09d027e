"""Settings that vary a published network: stages, heads, perceptrons, dropout, frozen encoders."""

from typing import Any

import keras
import pytest

from tiledseg.config import ModelSettings
from tiledseg.models import build_model
from tiledseg.tiling.network.receptive_field import receptive_field


def outline(**settings: Any) -> tuple[ModelSettings, keras.Model]:
    """A network without memory for its weights."""
    chosen = ModelSettings(**settings)
    with keras.StatelessScope(initialize_variables=False):
        return chosen, build_model(chosen, 3)


def answer_size(model: keras.Model, side: int) -> tuple[int | None, ...]:
    return tuple(model.compute_output_spec(keras.KerasTensor((1, side, side, 3))).shape)


class TestStages:
    @pytest.mark.parametrize("stages", [2, 3, 5])
    def test_of_u2net(self, stages):
        """So many pool inside, and the network reduces by two more, which dilate."""
        settings, model = outline(architecture="U2Net", base_filters=4, num_stages=stages)
        assert receptive_field(model).stride == settings.stride == 2 ** (stages + 1)
        assert answer_size(model, settings.stride) == (1, settings.stride, settings.stride, 1)
        names = {layer.name for layer in model.layers}
        assert f"side{stages + 1}" in names
        assert f"side{stages + 2}" not in names
        pools = [name for name in names if name.startswith("down0_pool")]
        assert len(pools) == stages + 1

    def test_of_u2net_are_as_wide_as_its_table_goes_on(self):
        """Channels in and behind each stage; the first four are those of the paper's table 1."""
        _, model = outline(architecture="U2Net", base_filters=64, num_stages=5)
        widths = [
            (model.get_layer(f"down{level}_down0_conv").filters,
             model.get_layer(f"down{level}_in_conv").filters)
            for level in range(7)
        ]  # fmt: skip
        assert widths == [
            (32, 64), (32, 128), (64, 256), (128, 512), (256, 1024), (512, 1024), (512, 1024),
        ]  # fmt: skip
        widths = [
            (model.get_layer(f"up{level}_down0_conv").filters,
             model.get_layer(f"up{level}_in_conv").filters)
            for level in range(6)
        ]  # fmt: skip
        assert widths == [(16, 64), (32, 64), (64, 128), (128, 256), (256, 512), (512, 1024)]

    @pytest.mark.parametrize("stages", [2, 5])
    def test_of_swin_unet(self, stages):
        settings, model = outline(
            architecture="SwinUNet", embed_dim=8, num_heads=2, num_stages=stages
        )
        assert settings.stride == 4 * 2 ** (stages - 1)
        side = 2 * settings.stride
        assert answer_size(model, side) == (1, side, side, 1)
        deepest = model.get_layer(f"down{stages - 1}_0_attention")
        assert deepest.heads == 2 * 2 ** (stages - 1)
        assert f"down{stages}_0_attention" not in {layer.name for layer in model.layers}


class TestTransformer:
    @pytest.mark.parametrize(
        ("settings", "heads", "channels"),
        [
            ({"hidden_size": 128}, 2, 64),
            ({"hidden_size": 128, "transformer_heads": 4}, 4, 32),
            ({"hidden_size": 612, "transformer_heads": 6}, 6, 102),
        ],
    )
    def test_heads_of_trans_unet_share_a_token(self, settings, heads, channels):
        _, model = outline(architecture="TransUNet", base_filters=1, num_transformer=1, **settings)
        attention = model.get_layer("transformer0_attention")
        assert (attention.num_heads, attention.key_dim) == (heads, channels)

    def test_nodes_of_perceptrons(self):
        _, model = outline(
            architecture="TransUNet", base_filters=1, num_transformer=1, mlp_nodes=96
        )
        assert model.get_layer("transformer0_widen").units == 96
        _, model = outline(architecture="SwinUNet", embed_dim=8, num_heads=2, mlp_nodes=24)
        assert [model.get_layer(f"down{level}_1_widen").units for level in range(4)] == [24] * 4
        _, model = outline(architecture="SwinUNet", embed_dim=8, num_heads=2)
        assert [model.get_layer(f"down{level}_1_widen").units for level in range(4)] == [
            32, 64, 128, 256,
        ]  # fmt: skip


class TestDropout:
    @pytest.mark.parametrize("name", ["UNet", "AttentionUNet", "SharpUNet", "MultiResUNet"])
    @pytest.mark.parametrize(
        ("growth", "rates"),
        [
            ("from_first", [0.1, 0.2, 0.3]),
            ("from_second", [None, 0.1, 0.2]),
            ("none", [0.1, 0.1, 0.1]),
        ],
    )
    def test_grows_as_it_is_told(self, name, growth, rates):
        _, model = outline(
            architecture=name, base_filters=2, num_layers=3, dropout_rate=0.1, dropout_growth=growth
        )
        found = {
            layer.name.removesuffix("_dropout"): layer.rate
            for layer in model.layers
            if isinstance(layer, keras.layers.Dropout)
        }
        for place, rate in zip(("down0", "down1", "bridge"), rates, strict=True):
            assert found.get(place) == (None if rate is None else pytest.approx(rate))

    def test_of_unet3plus(self):
        _, model = outline(
            architecture="UNet3Plus", base_filters=2, num_layers=3, dropout_growth="none",
            dropout_rate=0.1,
        )  # fmt: skip
        assert [model.get_layer(f"down{level}_dropout").rate for level in range(3)] == [0.1] * 3


class TestFrozenEncoders:
    def names_of_learned(self, model: keras.Model) -> set[str]:
        return {layer.name for layer in model.layers if layer.trainable_weights}

    def test_the_last_61_layers_of_b7_are_its_last_stage(self):
        _, model = outline(
            architecture="EfficientUNet",
            efficientnet="B7",
            base_filters=1,
            trained_encoder_layers=61,
        )
        learned = self.names_of_learned(model)
        everything = {layer.name for layer in model.layers if layer.weights}
        frozen = {name for name in everything if name.startswith(("block", "stem"))}
        frozen = {name for name in frozen if not name.startswith("block7")}
        assert len(frozen) > 300
        assert learned == everything - frozen

    @pytest.mark.parametrize(("layers", "learned"), [(0, False), (None, True), (10_000, True)])
    def test_none_or_all_of_deeplabs(self, layers, learned):
        _, model = outline(
            architecture="DeepLabV3Plus", base_filters=1, trained_encoder_layers=layers
        )
        names = self.names_of_learned(model)
        assert ("conv2_block1_1_conv" in names) == learned
        assert "logits" in names

    def test_stay_frozen_in_a_file(self, tmp_path):
        settings = ModelSettings(
            architecture="EfficientUNet", base_filters=1, trained_encoder_layers=0
        )
        model = build_model(settings, 3)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
        assert self.names_of_learned(loaded) == self.names_of_learned(model)
        assert not [name for name in self.names_of_learned(loaded) if name.startswith("block")]
