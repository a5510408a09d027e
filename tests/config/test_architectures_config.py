"""Settings of one architecture are refused with another, and strides are those of its graph."""

import pytest
import yaml
from pydantic import ValidationError

from tiledseg.config import ModelSettings
from tiledseg.config.architectures import ARCHITECTURES
from tiledseg.config.experiment import Experiment, parse_experiment
from tiledseg.errors import ExperimentError


def other_value(key: str) -> object:
    """A value that is not the default."""
    special = {"activation": "mish", "normalization": "none", "reduction": 2, "dilation": 2}
    special |= {"efficientnet": "B3", "encoder_weights": "a.h5", "output_stride": 8}
    special |= {"patch_size": 2, "embed_dim": 48, "hidden_size": 128, "base_kernels": 7}
    special |= {"num_stages": 3, "dropout_growth": "none"}
    default = ModelSettings.model_fields[key].default
    return special.get(key, not default if isinstance(default, bool) else 4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_keys_are_taken_by_their_readers_alone(name):
    for key in set(ModelSettings.model_fields) - {"architecture", "num_classes", "dropout_rate"}:
        content = {"architecture": name, key: other_value(key)}
        if key == "num_heads" and ARCHITECTURES[name].reads(key):
            content["embed_dim"] = 64
        if ARCHITECTURES[name].reads(key):
            assert getattr(ModelSettings.model_validate(content), key) == other_value(key)
            continue
        with pytest.raises(ValidationError, match=rf"{key} is .*{name} does not read it \(.* do\)"):
            ModelSettings.model_validate(content)


def test_a_written_experiment_with_all_keys_loads_again():
    for name in ARCHITECTURES:
        experiment = parse_experiment(f"dataset: {{name: A}}\nmodel: {{architecture: {name}}}", "a")
        assert parse_experiment(experiment.to_yaml(), "b") == experiment


@pytest.mark.parametrize(
    ("settings", "stride"),
    [
        ({"architecture": "AttentionUNet", "num_layers": 4, "reduction": 2}, 16),
        ({"architecture": "MultiResUNet", "num_layers": 3}, 4),
        ({"architecture": "UNet3Plus", "num_layers": 6}, 32),
        ({"architecture": "EfficientUNet", "efficientnet": "B7"}, 32),
        ({"architecture": "DeepLabV3Plus", "output_stride": 8}, 8),
        ({"architecture": "SwinUNet", "patch_size": 2}, 16),
        ({"architecture": "SwinUNet", "num_stages": 3}, 16),
        ({"architecture": "TransUNet"}, 16),
        ({"architecture": "U2Net"}, 32),
        ({"architecture": "U2Net", "num_stages": 6}, 128),
    ],
)
def test_stride(settings, stride):
    assert ModelSettings.model_validate(settings).stride == stride


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"architecture": "SwinUNet"}, "patch_size = 4 and model.num_stages = 4 needs.*of 32"),
        ({"architecture": "U2Net"}, "U2Net with model.num_stages = 4 needs.*of 32 px; use 96"),
        ({"architecture": "UNet3Plus", "num_layers": 6}, "num_layers = 6 needs.*or fewer layers"),
        ({"architecture": "SwinUNet", "embed_dim": 32}, "embed_dim 32 cannot.*num_heads 3"),
        ({"architecture": "EfficientUNet", "encoder_weights": " "}, "encoder_weights is empty"),
        ({"architecture": "SwinUnet"}, "did you mean SwinUNet"),
        ({"architecture": "TransUNet", "hidden_size": 100}, "hidden_size 100 cannot.*64"),
        ({"architecture": "TransUNet", "transformer_heads": 5}, "768 cannot.*transformer_heads 5"),
        ({"dropout_rate": 0.25, "dropout_growth": "from_second"}, "a rate under 0.225"),
        ({"num_classes": 256}, "model.num_classes is 256"),
    ],
)
def test_what_cannot_be_is_refused_when_the_experiment_is_loaded(model, words):
    text = yaml.safe_dump({"dataset": {"name": "A"}, "image": {"size": 112}, "model": model})
    with pytest.raises(ExperimentError, match=words):
        parse_experiment(text, "a")


def test_dropout_of_levels_is_no_matter_where_there_are_none():
    assert ModelSettings(architecture="TransUNet", dropout_rate=0.3).dropout_rate == 0.3


def test_the_schema_has_ranges_and_readers():
    schema = Experiment.model_json_schema()["$defs"]["ModelSettings"]["properties"]
    assert schema["window_size"]["maximum"] == 16
    assert schema["embed_dim"]["multipleOf"] == 4
    for key, field in schema.items():
        readers = [name for name in ARCHITECTURES if ARCHITECTURES[name].reads(key)]
        if len(readers) < len(ARCHITECTURES) - 1:
            assert all(name in field["description"] for name in readers), key
