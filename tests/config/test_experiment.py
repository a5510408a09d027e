"""An experiment file is read through the front door, or refused in words that help."""

from typing import Any

import pytest
import yaml
from house import HOUSE_EXPERIMENTS
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.config import DatasetSettings
from tiledseg.config.experiment import (
    Experiment,
    available_experiments,
    find_experiment,
    load_experiment,
    parse_experiment,
)
from tiledseg.config.messages import list_keys
from tiledseg.errors import ExperimentError

MINIMAL = "dataset: {name: Tiny}\n"


def refusal(text: str, *overrides: str) -> str:
    with pytest.raises(ExperimentError) as caught:
        parse_experiment(text, "tiny.yaml", overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestRoundTrip:
    @pytest.mark.parametrize("path", HOUSE_EXPERIMENTS, ids=lambda path: path.stem)
    def test_every_experiment_of_the_house(self, path, tmp_path):
        experiment = load_experiment(path)
        assert experiment.dataset.name == path.stem
        copy = tmp_path / "copy.yaml"
        copy.write_text(experiment.to_yaml(), encoding="utf-8")
        assert load_experiment(copy) == experiment

    @given(
        description=st.text(),
        rate=st.floats(min_value=0, max_value=1, exclude_min=True),
        norm=st.none() | st.floats(min_value=1e-300, max_value=1e300),
        seed=st.integers(),
        hflip=st.booleans(),
        synthetic=st.none() | st.just({"size": 64}),
    )
    def test_any_values(self, description, rate, norm, seed, hflip, synthetic):
        experiment = Experiment.model_validate(
            {
                "dataset": {
                    "name": "Tiny",
                    "description": description,
                    "synthetic": synthetic,
                    "split": {"seed": seed},
                },
                "training": {"learning_rate": rate, "clipnorm": norm},
                "augmentation": {"hflip": hflip},
            }
        )
        assert parse_experiment(experiment.to_yaml(), "copy") == experiment

    def test_an_absent_and_an_empty_section_keep_their_defaults(self):
        commented_out = "training:\n  # epochs: 3\nimage:\n"
        assert parse_experiment(MINIMAL + commented_out, "a") == parse_experiment(MINIMAL, "b")

    def test_a_file_of_windows_notepad(self, tmp_path):
        path = tmp_path / "a.yaml"
        path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
        assert load_experiment(path).dataset.name == "Tiny"


class TestFlattened:
    def test_one_level_of_dotted_keys_with_plain_values(self):
        flat = parse_experiment(MINIMAL + "model: {num_layers: 3}\n", "a").flatten()
        assert flat["model.num_layers"] == 3
        assert flat["training.max_minutes"] is None
        assert flat["dataset.synthetic"] is None
        assert flat["dataset.classes"] == []
        plain = bool | int | float | str | list | None
        assert all(isinstance(value, plain) for value in flat.values())

    def test_holds_every_key(self):
        experiment = parse_experiment("dataset: {name: Tiny, synthetic: {size: 64}}", "a")
        assert set(experiment.flatten()) == set(list_keys(Experiment))


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("training: {epoch: 3}", "unknown key training.epoch (given 3); did you mean epochs?"),
            ("Training: {}", "unknown key Training (given {}); did you mean training?"),
            ("epochs: 3", "unknown key epochs (given 3); did you mean training.epochs?"),
            (
                "model: {batch_size: 3}",
                "unknown key model.batch_size (given 3); did you mean training.batch_size?",
            ),
            ("tiling: {q: 1}", "unknown key tiling.q (given 1); known keys: mode, max_tile"),
            ("training: {epochs: '3'}", "training.epochs is '3'; input should be a valid integer"),
            ("training: {epochs: 3.0}", "training.epochs is 3.0; input should be a valid integer"),
            ("training: {epochs: 0}", "training.epochs is 0; input should be greater than"),
            (
                "training: {epochs: null}",
                "training.epochs is None; input should be a valid integer",
            ),
            ("training: {max_minutes: 1:30}", "training.max_minutes is '1:30'; input should be a"),
            (
                "training: {learning_rate: .nan}",
                "training.learning_rate is nan; input should be",
            ),
            ("training: {clipnorm: .inf}", "training.clipnorm is inf; input should be a finite"),
            ("training: 3", "training is 3, a value and not a section; its keys are epochs,"),
            ("image: [a]", "image is ['a'], a value and not a section; its keys are size,"),
            (
                "augmentation: {hflip: 'yes'}",
                "augmentation.hflip is 'yes'; write true or false",
            ),
            ("model: {activation: Relu}", "did you mean relu?"),
            ("model: {architecture: unet}", "did you mean UNet?"),
            ("model: {base_kernels: 4}", "base_kernels is 4; use an odd number"),
            ("image: {channels: 1}", "color_space 'rgb' does not go with channels 1; use gray"),
            ("model: {dropout_rate: 0.3}", "dropout_rate 0.3 with num_layers 5"),
            ("training: {clipvalue: 1}", "clipvalue (1.0) and clipnorm (1.0) exclude each other"),
            (
                "training: {hard_negative_fraction: 0.6}",
                "foreground_fraction (0.5) and hard_negative_fraction (0.6) add up to more than 1",
            ),
        ],
    )
    def test_say_the_key_the_value_and_what_is_accepted(self, text, words):
        message = refusal(MINIMAL + text)
        assert message.startswith("tiny.yaml: ")
        assert words in message

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "found nothing"),
            ("# nothing", "found nothing"),
            ("- a\n- b", "found a list"),
            ("Tiled-Cell", "found a str"),
            ("image: {}", "key dataset is missing; add it"),
            ("dataset:", "key dataset.name is missing; add it"),
            ("dataset: Tiny", "dataset is 'Tiny', a value and not a section"),
            ("dataset: {name: 2018}", "dataset.name is 2018; input should be a valid string"),
            ("dataset: {name: a/b}", "dataset.name: 'a/b' cannot name a folder"),
            (MINIMAL + MINIMAL, "not valid YAML: line 2, column 1: key 'dataset' is given twice"),
            (MINIMAL + "a: b: c", "not valid YAML: line 2, column 5"),
            (MINIMAL + "x: !!python/object/apply:os.mkdir [ran]", "python/object/apply:os.mkdir"),
        ],
    )
    def test_of_what_is_no_experiment(self, text, words, tmp_path):
        assert words in refusal(text)
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        ("sections", "key", "remedy"),
        [
            ({"image": {"size": 100}}, "image.size is 100", "multiple of 16 px; use 96 or 112"),
            ({"tiling": {"max_tile": 1000}}, "tiling.max_tile is 1000", "use 992 or 1008"),
            (
                {"image": {"size": 384}, "model": {"num_layers": 9}, "tiling": {"max_tile": 512}},
                "image.size is 384, but model.num_layers = 9",
                "multiple of 256 px; use 256 or 512",
            ),
            (
                {"image": {"size": 32}, "model": {"num_layers": 7}},
                "image.size is 32, but model.num_layers = 7",
                "multiple of 64 px; use 64, or fewer layers",
            ),
        ],
    )
    def test_sizes_must_be_multiples_of_the_stride(self, sections, key, remedy):
        message = refusal(MINIMAL + yaml.safe_dump(sections))
        assert key in message
        assert remedy in message

    @pytest.mark.parametrize("layers", range(2, 10))
    def test_exactly_the_multiples_of_the_stride_are_accepted(self, layers):
        stride = 2 ** (layers - 1)
        for size in (1024, 1024 + stride // 2, 1024 + stride):
            content: dict[str, Any] = {
                "dataset": {"name": "Tiny"},
                "model": {"num_layers": layers},
                "image": {"size": size},
                "tiling": {"max_tile": 1024},
            }
            text = yaml.safe_dump(content)
            if size % stride:
                assert f"multiple of {stride} px" in refusal(text)
            else:
                assert parse_experiment(text, "a").image.size == size

    def test_several_faults_are_told_at_once(self):
        message = refusal(MINIMAL + "training: {epoch: 3, batch_size: 0}\nmodel: {depth: 4}")
        assert all(
            key in message for key in ("training.epoch ", "training.batch_size", "model.depth")
        )


class TestOverrides:
    @pytest.mark.parametrize(
        ("override", "section", "key", "value"),
        [
            ("training.learning_rate=1e-3", "training", "learning_rate", 0.001),
            ("training.epochs=3", "training", "epochs", 3),
            ("training.max_minutes=2", "training", "max_minutes", 2.0),
            ("training.clipnorm=null", "training", "clipnorm", None),
            ("augmentation.hflip=false", "augmentation", "hflip", False),
            (" training.epochs = 3 ", "training", "epochs", 3),
            ("dataset.description=a = b", "dataset", "description", "a = b"),
        ],
    )
    def test_values_are_yaml(self, override, section, key, value):
        experiment = parse_experiment(MINIMAL, "a", [override])
        found = getattr(getattr(experiment, section), key)
        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize("word", ["no", "yes", "on", "off"])
    def test_words_that_only_yaml_1_1_takes_for_booleans(self, word):
        expected = f"augmentation.hflip is '{word}'; write true or false"
        with pytest.raises(ExperimentError, match=expected):
            parse_experiment(MINIMAL, "a", [f"augmentation.hflip={word}"])

    def test_nested_keys_and_absent_sections(self):
        experiment = parse_experiment(
            MINIMAL, "a", ["dataset.synthetic.size=64", "dataset.split.valid=.3"]
        )
        assert experiment.dataset.synthetic is not None
        assert experiment.dataset.synthetic.size == 64
        assert experiment.dataset.split.valid == 0.3

    def test_change_only_what_they_name_and_the_last_one_wins(self):
        text = MINIMAL + "training: {epochs: 9, batch_size: 2}\n"
        training = parse_experiment(text, "a", ["training.epochs=3", "training.epochs=4"]).training
        assert (training.epochs, training.batch_size) == (4, 2)

    def test_are_checked_together(self):
        changed = parse_experiment(MINIMAL, "a", ["model.num_layers=9", "tiling.max_tile=2048"])
        assert changed.model.stride == 256
        assert "clipvalue (0.5) and clipnorm (1.0)" in refusal(MINIMAL, "training.clipvalue=.5")
        both = ["training.clipvalue=.5", "training.clipnorm=null"]
        assert parse_experiment(MINIMAL, "a", both).training.clipvalue == 0.5

    @pytest.mark.parametrize(
        "override", ["", "=3", "training.epochs", ".epochs=3", "a..b=1", "a.=1"]
    )
    def test_of_bad_form(self, override):
        message = refusal(MINIMAL, override)
        assert repr(override) in message
        assert "expected KEY=VALUE, for example training.epochs=3" in message

    @pytest.mark.parametrize(
        ("override", "words"),
        [
            ("training.epochs=[", "'[' is not a YAML value"),
            ("training={epochs: 3, epochs: 4}", "'epochs' is given twice"),
            ("dataset.name.x=3", "dataset.name is 'Tiny', a value and not a section"),
            ("training.epochs.x=3", "training.epochs is {'x': 3}; input should be a valid integer"),
            ("training=3", "training is 3, a value and not a section"),
            ("training=null", "training is None, a value and not a section"),
            ("training.epoch=3", "unknown key training.epoch (given 3); did you mean epochs?"),
            ("training.epochs=1e2", "training.epochs is 100.0; input should be a valid integer"),
            ("training.epochs=nan", "training.epochs is 'nan'; input should be a valid integer"),
            ("image.size=100", "use 96 or 112"),
        ],
    )
    def test_of_bad_content_are_named(self, override, words):
        message = refusal(MINIMAL, "training.batch_size=2", override)
        assert words in message
        assert f"--set {override}" in message or f"--set {override!r}" in message


class TestFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(ExperimentError, match=r"absent\.yaml: no such experiment file"):
            load_experiment(tmp_path / "absent.yaml")

    def test_a_directory(self, tmp_path):
        with pytest.raises(ExperimentError, match=r"cannot be read.*directory"):
            load_experiment(tmp_path)

    @pytest.mark.parametrize(
        "content", [b"\x89PNG\r\n\x1a\n\xff\xfe", b"\x80abc", b"\xff\xfea\x00"]
    )
    def test_binary(self, tmp_path, content):
        path = tmp_path / "image.yaml"
        path.write_bytes(content)
        with pytest.raises(ExperimentError, match=r"image\.yaml: not text in UTF-8.*byte"):
            load_experiment(path)

    def test_overrides_reach_a_file(self, tmp_path):
        path = tmp_path / "a.yaml"
        path.write_text(MINIMAL)
        assert load_experiment(path, ["training.epochs=7"]).training.epochs == 7


class TestFindExperiment:
    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("Tiled-Cell", "Tiled-Cervical-Cancer", "Synthetic-Cell"):
            (tmp_path / f"{name}.yaml").write_text(f"dataset: {{name: {name}}}")
        (tmp_path / "notes.txt").write_text("no experiment")
        return tmp_path

    def test_lists_names_in_order(self, folder):
        assert available_experiments(folder) == [
            "Synthetic-Cell",
            "Tiled-Cell",
            "Tiled-Cervical-Cancer",
        ]

    def test_finds_the_file(self, folder):
        assert find_experiment("Tiled-Cell", folder) == folder / "Tiled-Cell.yaml"

    @pytest.mark.parametrize("name", ["tiled-cell", "TILED-CELL", "TiledCell", "Tiled_Cel"])
    def test_offers_the_nearest_name_whatever_its_case(self, folder, name):
        with pytest.raises(ExperimentError, match=rf"'{name}'; nearest names: Tiled-Cell\b"):
            find_experiment(name, folder)

    def test_offers_all_names_where_none_is_near(self, folder):
        with pytest.raises(ExperimentError, match="known datasets: Synthetic-Cell, Tiled-Cell, "):
            find_experiment("qqq", folder)

    def test_says_how_to_add_one(self, folder):
        with pytest.raises(ExperimentError) as caught:
            find_experiment("New", folder)
        assert f"write {folder / 'New.yaml'}" in str(caught.value)

    def test_without_any_experiment(self, tmp_path):
        with pytest.raises(ExperimentError, match="known datasets: none"):
            find_experiment("Tiled-Cell", tmp_path / "absent")

    @pytest.mark.parametrize("name", ["../secret", "notes", "Tiled-Cell.yaml", ""])
    def test_takes_names_and_no_paths(self, folder, name):
        (folder.parent / "secret.yaml").write_text(MINIMAL)
        with pytest.raises(ExperimentError, match="unknown dataset"):
            find_experiment(name, folder)


def test_experiments_that_are_equal_have_equal_hashes():
    first, second = (parse_experiment(MINIMAL, source) for source in "ab")
    assert first is not second
    assert {first, second} == {first}
    assert first != Experiment(dataset=DatasetSettings(name="Other"))
