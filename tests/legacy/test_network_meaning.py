"""Each network of the source program means what it meant, or it is said.

What a network reads of its section, what it always has, and what it does otherwise.
"""

import re
from pathlib import Path

import pytest

from tiledseg.legacy.source_networks import FIRST_TRANSUNET, SOURCE_NETWORKS


class TestEncoders:
    @pytest.mark.parametrize("name", ["EfficientUNet", "EfficientNetB7UNet", "DeepLabV3Plus"])
    def test_start_from_imagenets_weights(self, imports, name):
        assert imports.model(name, "weights = None")["encoder_weights"] == "imagenet"
        text = imports.network(name, "weights = None")
        assert "always imagenet" in imports.notes(text, "ignored")["weights"]

    def test_of_b7_all_but_the_last_61_layers_stay_as_they_are(self, imports):
        found = imports.model("EfficientNetB7UNet", "base_filters = 16")
        assert (found["efficientnet"], found["trained_encoder_layers"]) == ("B7", 61)
        assert found["base_filters"] == 32
        assert imports.model("EfficientUNet")["trained_encoder_layers"] is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("AttentionUNet", "batch"), ("UNet3Plus", "batch"), ("SharpUNet", "none"), ("U2Net", "none")],
)
@pytest.mark.parametrize("given", ["True", "False"])
def test_normalization_that_no_key_changes(imports, name, expected, given):
    line = f"normalization = {given}"
    assert imports.model(name, line)["normalization"] == expected
    assert (
        f"always {expected}"
        in imports.notes(imports.network(name, line), "ignored")["normalization"]
    )


class TestDropout:
    @pytest.mark.parametrize(
        "name",
        ["DeepLabV3Plus", "EfficientUNet", "EfficientNetB7UNet", "TransUNet", "SwinUNet", "U2Net",
         "SharpUNet", "MultiResUNet"],
    )  # fmt: skip
    def test_is_not_read(self, imports, name):
        line = "dropout_rate = 0.1"
        assert imports.model(name, line)["dropout_rate"] == 0.0
        assert (
            "does not read it"
            in imports.notes(imports.network(name, line), "ignored")["dropout_rate"]
        )

    @pytest.mark.parametrize(
        ("name", "rates"),
        [
            ("UNet", [0.0, 0.1, 0.2, 0.3, 0.4]),
            ("AttentionUNet", [0.1] * 5),
            ("UNet3Plus", [0.1] * 5),
        ],
    )
    def test_has_its_course_over_levels(self, imports, name, rates):
        settings = imports.experiment(
            imports.network(name, "dropout_rate = 0.1", "num_layers = 5", "base_filters = 16")
        ).model
        assert [settings.dropout_at(level) for level in range(5)] == pytest.approx(rates)

    def test_lies_elsewhere_in_some_networks_which_is_said(self, imports):
        for name in ("AttentionUNet", "UNet3Plus"):
            assert "dropout lies behind" in imports.told(imports.network(name), "different")
        assert "dropout" not in imports.told(imports.network("UNet"), "different")


@pytest.mark.parametrize(
    "name",
    ["AttentionUNet", "MultiResUNet", "UNet3Plus", "EfficientUNet", "DeepLabV3Plus", "TransUNet",
     "U2Net", "SharpUNet"],
)  # fmt: skip
def test_activation_is_read_by_the_unet_alone(imports, name):
    line = "activation = 'mish'"
    assert imports.model(name, line)["activation"] == "relu"
    assert "always relu" in imports.notes(imports.network(name, line), "ignored")["activation"]
    assert imports.model("UNet", line)["activation"] == "mish"


class TestSizes:
    def test_of_attention_unet_that_no_key_changes(self, imports):
        found = imports.model(
            "AttentionUNet", "base_kernels = (9,9)", "dilation = (2,2)", "num_layers = 6"
        )
        assert (found["base_kernels"], found["dilation"], found["num_layers"]) == (3, 1, 6)

    def test_unet3plus_has_five_levels(self, imports):
        assert imports.model("UNet3Plus", "num_layers = 7")["num_layers"] == 5
        words = imports.notes(imports.network("UNet3Plus", "num_layers = 7"), "ignored")[
            "num_layers"
        ]
        assert "always 5" in words

    def test_sharp_unet_lists_its_filters(self, imports):
        found = imports.model("SharpUNet", "base_filters = 8", "num_layers = 8")
        assert (found["base_filters"], found["num_layers"], found["base_kernels"]) == (32, 5, 3)
        found = imports.model(
            "SharpUNet", "filters = [16, 32, 64]", "max_filter = 128", "base_ksize = (5,5)"
        )
        assert (found["base_filters"], found["num_layers"], found["base_kernels"]) == (16, 4, 5)

    def test_of_sharp_unet_that_cannot_be_meant_are_said(self, imports):
        text = imports.network("SharpUNet", "filters = [16, 32, 48]", "base_ksize = (5,5)")
        told = imports.told(text, "different")
        assert "filters 16, 32, 48 and 512 at the bridge; here 16, 32, 64, 128" in told
        assert "kernels have 5 pixels at every level" in told


class TestTransformers:
    SWIN = ("filter_num_begin = 64", "window_size = [4, 2, 2, 2]", "shift_window = True")

    def test_swin_unet_has_depth_and_nodes(self, imports):
        found = imports.model("SwinUNet", *self.SWIN, "depth = 3", "num_mlp = 256")
        assert (found["num_stages"], found["mlp_nodes"], found["embed_dim"]) == (3, 256, 64)
        plain = imports.model("SwinUNet")
        assert [plain[key] for key in ("num_stages", "mlp_nodes", "embed_dim", "num_heads")] == [
            4, 512, 128, 4,
        ]  # fmt: skip

    def test_levels_of_swin_unet_that_cannot_be_meant_are_said(self, imports):
        text = imports.network(
            "SwinUNet", *self.SWIN, "num_heads = [4, 8, 8, 8]", "stack_num_down = 3"
        )
        told = imports.told(text, "different")
        assert "heads of attention from level to level: 4, 8, 8, 8; here 4, 8, 16, 32" in told
        assert "windows from level to level: 4, 2, 2, 2; here 4, 4, 4, 4" in told
        assert set(imports.notes(text, "unavailable")) == {"stack_num_down"}

    def test_trans_unet_has_heads_and_nodes(self, imports):
        lines = ("embed_dim = 256", "num_heads = 4", "num_transformer = 4", "num_mlp = 512")
        found = imports.model("TransUNet", *lines)
        keys = ("hidden_size", "transformer_heads", "num_transformer", "mlp_nodes")
        assert [found[key] for key in keys] == [256, 4, 4, 512]
        assert [imports.model("TransUNet")[key] for key in keys] == [768, 12, 12, 3072]

    def test_filters_of_trans_unet_are_not_available(self, imports):
        lines = ("filter_num = [32, 64, 128, 256]", "batch_norm = False", "backbone = None")
        text = imports.network("TransUNet", *lines, "weights = 'imagenet'")
        assert set(imports.notes(text, "unavailable")) == {"filter_num", "batch_norm"}
        assert "backbone only" in imports.notes(text, "ignored")["weights"]

    def test_the_first_trans_unet_had_other_keys(self, imports):
        lines = ("hidden_size = 612", "num_heads = 6", "num_layers = 6", "mlp_dim = 2048")
        text = imports.network("TransUNet", *lines, "dropout_rate = 0.1", "freeze_enc_cnn = True")
        experiment = imports.experiment(text)
        found = experiment.model
        assert (found.hidden_size, found.heads, found.num_transformer) == (612, 6, 6)
        assert (found.mlp_nodes, found.dropout_rate) == (2048, 0.1)
        assert experiment.training.optimizer == "AdamW"
        assert set(imports.notes(text, "unavailable")) == {"freeze_enc_cnn"}

    def test_heads_share_the_channels(self, imports):
        found = imports.model("TransUNet", "hidden_size = 512", "num_heads = 6")
        assert found["transformer_heads"] == 4


class TestU2Net:
    def test_has_as_many_stages_as_layers(self, imports):
        text = imports.network("U2Net", "num_layers = 6")
        experiment = imports.experiment(text)
        assert (experiment.model.num_stages, experiment.model.stride) == (6, 128)
        assert not imports.notes(text, "unavailable")

    def test_blends_tiles(self, imports):
        assert imports.experiment(imports.network("U2Net")).tiling.mode == "blend"
        assert imports.experiment(imports.network("UNet")).tiling.mode == "auto"


class TestIntensities:
    """The source program's networks saw 0 to 255 or 0 to 1; here it is always 0 to 1."""

    @pytest.mark.parametrize(
        "name",
        ["AttentionUNet", "UNet3Plus", "SwinUNet", "TransUNet", "U2Net", "SharpUNet",
         "DeepLabV3Plus"],
    )  # fmt: skip
    def test_of_bytes_are_said(self, imports, name):
        assert "intensities of 0 to 255" in imports.told(imports.network(name), "different")

    @pytest.mark.parametrize("name", ["UNet", "MultiResUNet", "EfficientUNet"])
    def test_that_are_equal_are_not(self, imports, name):
        assert "intensities" not in imports.told(imports.network(name), "different")

    def test_of_the_unet_follow_a_key(self, imports):
        text = imports.network("UNet", "input_normalize = False")
        assert "0 to 255" in imports.notes(text, "unavailable")["input_normalize"]
        text = imports.network("UNet", "input_normalize = True")
        assert "input_normalize" in imports.notes(text, "elsewhere")


class TestPage:
    """docs/import-config.md says how each network's import differs."""

    PAGE = Path(__file__).resolve().parents[2] / "docs" / "import-config.md"

    def rows(self) -> dict[str, list[str]]:
        text = self.PAGE.read_text(encoding="utf-8").partition("## Network by network")[2]
        lines = [line for line in text.splitlines() if line.startswith("| `")][1:]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return {row[0].strip("`"): row[1:] for row in cells}

    def test_table_is_that_of_the_package(self):
        synonyms = {"FlexUNet", "SlightlyFlexibleUNet"}
        shown = self.rows()
        assert list(shown) == [name for name in SOURCE_NETWORKS if name not in synonyms]
        for name, (architecture, reads, always, differs) in shown.items():
            network = SOURCE_NETWORKS[name]
            assert architecture == network.architecture
            assert set(re.findall(r"`(\w+)`", reads)) == network.reads
            assert dict(re.findall(r"`(\w+): ([^`]+)`", always)) == {
                key: str(value) for key, value in network.always.items()
            }
            assert differs == ("; ".join(network.differs) or "-")

    def test_what_a_network_always_has_is_what_an_import_gives(self, imports):
        for name, network in SOURCE_NETWORKS.items():
            if name != FIRST_TRANSUNET:
                found = imports.experiment(imports.network(name)).model.model_dump()
                assert {key: found[key] for key in network.always} == network.always, name
