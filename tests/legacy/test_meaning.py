"""Small configurations mean what they meant in the source program, or it is said.

Each class is one point in which an import could mean something else.
"""

import re
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest
from typer.testing import CliRunner

from tiledseg import train
from tiledseg.cli import app
from tiledseg.data.cache import PixelCache
from tiledseg.errors import ExperimentError
from tiledseg.legacy import import_config
from tiledseg.legacy.source_networks import FIRST_TRANSUNET, SOURCE_NETWORKS

COMPLETE = """
[model]
image_width = 64
image_height = 64
image_channels = 3
num_classes = 1
base_filters = 4
num_layers = 2
dropout_rate = 0.0
learning_rate = 0.001
loss = "bce_dice_loss"
metrics = ["dice_coef"]
[train]
epochs = 1
batch_size = 2
model_dir = "./models"
eval_dir = "./eval"
image_datapath = "../../dataset/Tiny/train/images"
mask_datapath = "../../dataset/Tiny/train/masks"
"""
"""Nothing that the source program needs is missing."""
MASK = "[mask]\nbinarize = True\nthreshold = 128\nblur = True\nblur_size = (5, 5)\n"


def network_file(name: str, *lines: str) -> str:
    return "\n".join(("[model]", f'model = "Tensorflow{name}"', *lines, ""))


def flat(imports, text: str) -> dict[str, object]:
    return imports.experiment(text).flatten()


def model(imports, name: str, *lines: str) -> dict[str, object]:
    return imports.experiment(network_file(name, *lines)).model.model_dump()


class TestBaseImageMaskDataset:
    """It reads neither binarize nor threshold nor blur: any gray above 0 was foreground."""

    PLAIN = f'{MASK}[dataset]\ndatasetclass = "BaseImageMaskDataset"\n'

    def test_any_gray_above_zero(self, imports, tmp_path):
        """A core of 16 x 16 in a rim of dark gray, 32 x 32."""
        mask = np.zeros((64, 64), np.uint8)
        mask[16:48, 16:48], mask[24:40, 24:40] = 9, 255
        cv2.imwrite(str(tmp_path / "mask.png"), mask)
        cache = PixelCache(tmp_path / "cache")
        pixels = {}
        for text in (self.PLAIN, MASK):
            threshold = imports.experiment(text).dataset.foreground_threshold
            pixels[text] = int(cache.mask(tmp_path / "mask.png", threshold).sum())
        assert pixels == {self.PLAIN: 1024, MASK: 256}

    def test_what_it_does_not_read_has_no_effect(self, imports):
        text = f"{self.PLAIN}[image]\ncolor_converter = 'cv2.COLOR_BGR2HSV'\ngamma = 2.0\n"
        keys = {"binarize", "threshold", "blur", "blur_size", "color_converter", "gamma"}
        assert keys <= set(imports.notes(text, "ignored"))
        image = imports.experiment(text).image
        assert (image.color_space, image.gamma) == ("rgb", 1.0)
        assert not imports.notes(text, "unavailable")

    def test_is_not_used_with_a_generator(self, imports):
        text = f"[model]\ngenerator = True\n{self.PLAIN}"
        assert imports.experiment(text).dataset.mask_threshold == 127
        assert "datasetclass" in imports.notes(text, "ignored")
        assert set(imports.notes(text, "unavailable")) == {"blur", "blur_size"}

    def test_a_class_that_reads_otherwise_is_said(self, imports):
        text = f"{MASK}[dataset]\ndatasetclass = 'NormalizedImageMaskDataset'\n"
        assert "datasetclass" in imports.notes(text, "unavailable")

    @pytest.mark.parametrize(
        ("algorithm", "threshold"),
        [("BINARY", 100), ("TRUNC", 0), ("OTSU", 127), ("TRIANGLE", 127), ("", 99)],
    )
    def test_thresholds_of_opencv(self, imports, algorithm, threshold):
        name = f"'cv2.THRESH_{algorithm}'" if algorithm else "None"
        text = f"[mask]\nbinarize = True\nthreshold = 100\nalgorithm = {name}\n"
        assert imports.experiment(text).dataset.mask_threshold == threshold
        told = "algorithm" in imports.notes(text, "unavailable")
        assert told == (algorithm in {"OTSU", "TRIANGLE"})


class TestFolders:
    def dataset(self, imports, images, masks):
        text = f'[train]\nimage_datapath = "{images}"\nmask_datapath = "{masks}"\n'
        found = imports.experiment(text).dataset
        return found.name, found.images, found.masks

    @pytest.mark.parametrize(
        ("images", "masks", "expected"),
        [
            (
                "../../../dataset/ALL/train/original/Early",
                "../../../dataset//ALL/train/segmented/Early",
                ("ALL", "original/Early", "segmented/Early"),
            ),
            (
                "../dataset/BrainTumor/train/image/",
                "../dataset/BrainTumor/train/mask/",
                ("BrainTumor", "image", "mask"),
            ),
            (
                "../dataset/Cervical/Metaplastic/train/images",
                "../dataset/Cervical/Metaplastic/train/masks",
                ("Cervical", "Metaplastic/{split}/images", "Metaplastic/{split}/masks"),
            ),
            ("data/Plain/pictures", "data/Plain/truth", ("Plain", "pictures", "truth")),
            ("a/Usual/train/images", "a/Usual/train/masks", ("Usual", "images", "masks")),
        ],
    )
    def test_below_the_dataset_become_its_folders(self, imports, images, masks, expected):
        assert self.dataset(imports, images, masks) == expected

    def test_are_trained_from(self, imports, tiny_dataset, tmp_path, monkeypatch):
        """As ``tiledseg check`` finds them."""
        folder = tiny_dataset(tmp_path / "data", "ALL")
        for split in ("train", "valid", "test"):
            for old, new in (("images", "original/Early"), ("masks", "segmented/Early")):
                (folder / split / new).parent.mkdir()
                (folder / split / old).rename(folder / split / new)
        monkeypatch.setenv("TILEDSEG_DATA", str(tmp_path / "data"))
        path = imports.write(
            COMPLETE.replace("Tiny/train/images", "ALL/train/original/Early").replace(
                "Tiny/train/masks", "ALL/train/segmented/Early"
            )
        )
        done = CliRunner().invoke(app, ["check", "ALL", "--experiment", str(path)])
        assert done.exit_code == 0, done.output
        assert "Nothing stands against training" in " ".join(done.output.split())

    def test_of_two_datasets_or_one_for_both_are_said(self, imports):
        one, two = "dataset/A/train/images", "dataset/B/train/masks"
        text = f'[train]\nimage_datapath = "{one}"\nmask_datapath = "{two}"\n'
        assert imports.experiment(text).dataset.masks == "masks"
        assert set(imports.notes(text, "unavailable")) == {"mask_datapath"}
        text = f'[train]\nimage_datapath = "{one}"\nmask_datapath = "{one}"\n'
        assert imports.experiment(text).dataset.masks == "masks"
        assert "one folder" in imports.notes(text, "unavailable")["mask_datapath"]

    def test_of_other_splits_that_lie_otherwise_are_said(self, imports):
        text = (
            '[train]\nimage_datapath = "dataset/A/train/images"\n[eval]\n'
            'image_datapath = "dataset/A/valid/pictures"\n[test]\n'
            'image_datapath = "dataset/A/test/images"\n'
        )
        notes = imports.config(text).notes
        assert [n.entry.section for n in notes if n.kind == "unavailable"] == ["eval"]
        assert [n.entry.section for n in notes if n.kind == "elsewhere"] == ["test"]


class TestEncoders:
    @pytest.mark.parametrize("name", ["EfficientUNet", "EfficientNetB7UNet", "DeepLabV3Plus"])
    def test_start_from_imagenets_weights(self, imports, name):
        assert model(imports, name, "weights = None")["encoder_weights"] == "imagenet"
        text = network_file(name, "weights = None")
        assert "always imagenet" in imports.notes(text, "ignored")["weights"]

    def test_of_b7_all_but_the_last_61_layers_stay_as_they_are(self, imports):
        found = model(imports, "EfficientNetB7UNet", "base_filters = 16")
        assert (found["efficientnet"], found["trained_encoder_layers"]) == ("B7", 61)
        assert found["base_filters"] == 32
        assert model(imports, "EfficientUNet")["trained_encoder_layers"] is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("AttentionUNet", "batch"), ("UNet3Plus", "batch"), ("SharpUNet", "none"), ("U2Net", "none")],
)
@pytest.mark.parametrize("given", ["True", "False"])
def test_normalization_that_no_key_changes(imports, name, expected, given):
    line = f"normalization = {given}"
    assert model(imports, name, line)["normalization"] == expected
    assert (
        f"always {expected}" in imports.notes(network_file(name, line), "ignored")["normalization"]
    )


class TestDropout:
    @pytest.mark.parametrize(
        "name",
        ["DeepLabV3Plus", "EfficientUNet", "EfficientNetB7UNet", "TransUNet", "SwinUNet", "U2Net",
         "SharpUNet", "MultiResUNet"],
    )  # fmt: skip
    def test_is_not_read(self, imports, name):
        line = "dropout_rate = 0.1"
        assert model(imports, name, line)["dropout_rate"] == 0.0
        assert (
            "does not read it" in imports.notes(network_file(name, line), "ignored")["dropout_rate"]
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
            network_file(name, "dropout_rate = 0.1", "num_layers = 5", "base_filters = 16")
        ).model
        assert [settings.dropout_at(level) for level in range(5)] == pytest.approx(rates)

    def test_lies_elsewhere_in_some_networks_which_is_said(self, imports):
        for name in ("AttentionUNet", "UNet3Plus"):
            assert "dropout lies behind" in imports.told(network_file(name), "different")
        assert "dropout" not in imports.told(network_file("UNet"), "different")


@pytest.mark.parametrize(
    "name",
    ["AttentionUNet", "MultiResUNet", "UNet3Plus", "EfficientUNet", "DeepLabV3Plus", "TransUNet",
     "U2Net", "SharpUNet"],
)  # fmt: skip
def test_activation_is_read_by_the_unet_alone(imports, name):
    line = "activation = 'mish'"
    assert model(imports, name, line)["activation"] == "relu"
    assert "always relu" in imports.notes(network_file(name, line), "ignored")["activation"]
    assert model(imports, "UNet", line)["activation"] == "mish"


class TestSizes:
    def test_of_attention_unet_that_no_key_changes(self, imports):
        found = model(
            imports, "AttentionUNet", "base_kernels = (9,9)", "dilation = (2,2)", "num_layers = 6"
        )
        assert (found["base_kernels"], found["dilation"], found["num_layers"]) == (3, 1, 6)

    def test_unet3plus_has_five_levels(self, imports):
        assert model(imports, "UNet3Plus", "num_layers = 7")["num_layers"] == 5
        words = imports.notes(network_file("UNet3Plus", "num_layers = 7"), "ignored")["num_layers"]
        assert "always 5" in words

    def test_sharp_unet_lists_its_filters(self, imports):
        found = model(imports, "SharpUNet", "base_filters = 8", "num_layers = 8")
        assert (found["base_filters"], found["num_layers"], found["base_kernels"]) == (32, 5, 3)
        found = model(
            imports, "SharpUNet", "filters = [16, 32, 64]", "max_filter = 128", "base_ksize = (5,5)"
        )
        assert (found["base_filters"], found["num_layers"], found["base_kernels"]) == (16, 4, 5)

    def test_of_sharp_unet_that_cannot_be_meant_are_said(self, imports):
        text = network_file("SharpUNet", "filters = [16, 32, 48]", "base_ksize = (5,5)")
        told = imports.told(text, "different")
        assert "filters 16, 32, 48 and 512 at the bridge; here 16, 32, 64, 128" in told
        assert "kernels have 5 pixels at every level" in told


class TestTransformers:
    SWIN = ("filter_num_begin = 64", "window_size = [4, 2, 2, 2]", "shift_window = True")

    def test_swin_unet_has_depth_and_nodes(self, imports):
        found = model(imports, "SwinUNet", *self.SWIN, "depth = 3", "num_mlp = 256")
        assert (found["num_stages"], found["mlp_nodes"], found["embed_dim"]) == (3, 256, 64)
        plain = model(imports, "SwinUNet")
        assert [plain[key] for key in ("num_stages", "mlp_nodes", "embed_dim", "num_heads")] == [
            4, 512, 128, 4,
        ]  # fmt: skip

    def test_levels_of_swin_unet_that_cannot_be_meant_are_said(self, imports):
        text = network_file(
            "SwinUNet", *self.SWIN, "num_heads = [4, 8, 8, 8]", "stack_num_down = 3"
        )
        told = imports.told(text, "different")
        assert "heads of attention from level to level: 4, 8, 8, 8; here 4, 8, 16, 32" in told
        assert "windows from level to level: 4, 2, 2, 2; here 4, 4, 4, 4" in told
        assert set(imports.notes(text, "unavailable")) == {"stack_num_down"}

    def test_trans_unet_has_heads_and_nodes(self, imports):
        lines = ("embed_dim = 256", "num_heads = 4", "num_transformer = 4", "num_mlp = 512")
        found = model(imports, "TransUNet", *lines)
        keys = ("hidden_size", "transformer_heads", "num_transformer", "mlp_nodes")
        assert [found[key] for key in keys] == [256, 4, 4, 512]
        assert [model(imports, "TransUNet")[key] for key in keys] == [768, 12, 12, 3072]

    def test_filters_of_trans_unet_are_not_available(self, imports):
        lines = ("filter_num = [32, 64, 128, 256]", "batch_norm = False", "backbone = None")
        text = network_file("TransUNet", *lines, "weights = 'imagenet'")
        assert set(imports.notes(text, "unavailable")) == {"filter_num", "batch_norm"}
        assert "backbone only" in imports.notes(text, "ignored")["weights"]

    def test_the_first_trans_unet_had_other_keys(self, imports):
        lines = ("hidden_size = 612", "num_heads = 6", "num_layers = 6", "mlp_dim = 2048")
        text = network_file("TransUNet", *lines, "dropout_rate = 0.1", "freeze_enc_cnn = True")
        experiment = imports.experiment(text)
        found = experiment.model
        assert (found.hidden_size, found.heads, found.num_transformer) == (612, 6, 6)
        assert (found.mlp_nodes, found.dropout_rate) == (2048, 0.1)
        assert experiment.training.optimizer == "AdamW"
        assert set(imports.notes(text, "unavailable")) == {"freeze_enc_cnn"}

    def test_heads_share_the_channels(self, imports):
        found = model(imports, "TransUNet", "hidden_size = 512", "num_heads = 6")
        assert found["transformer_heads"] == 4


class TestU2Net:
    def test_has_as_many_stages_as_layers(self, imports):
        text = network_file("U2Net", "num_layers = 6")
        experiment = imports.experiment(text)
        assert (experiment.model.num_stages, experiment.model.stride) == (6, 128)
        assert not imports.notes(text, "unavailable")

    def test_blends_tiles(self, imports):
        assert imports.experiment(network_file("U2Net")).tiling.mode == "blend"
        assert imports.experiment(network_file("UNet")).tiling.mode == "auto"


class TestMetrics:
    def test_that_are_asked_for_are_watched(self, imports):
        text = '[model]\nmetrics = ["specificity", "dice_coef", "iou_coef", "binary_accuracy"]\n'
        watched = imports.experiment(text).training.metrics
        assert set(watched) == {"specificity", "iou_coef", "binary_accuracy"}
        assert not imports.notes(text, "unavailable")

    def test_that_are_none_are_said(self, imports):
        text = '[model]\nmetrics = ["iou_coef", "hausdorff"]\n'
        assert imports.experiment(text).training.metrics == ("iou_coef",)
        assert "'hausdorff'" in imports.notes(text, "unavailable")["metrics"]

    def test_are_recorded_per_epoch(self, imports, tiny_dataset, tiny_experiment):
        """From the configuration to MLflow."""
        tiny_dataset()
        asked = ["specificity", "iou_coef", "binary_accuracy", "sensitivity"]
        text = COMPLETE.replace('["dice_coef"]', str(asked))
        watched = imports.experiment(text).training.metrics
        short = {"epochs": 1, "steps_per_epoch": 2, "epoch_pictures": 0}
        result = train(tiny_experiment(training={"metrics": watched, **short}))
        client = mlflow.MlflowClient()
        for name in asked:
            for key in (name, f"val_{name}"):
                history = client.get_metric_history(result.run_id, key)
                assert [point.step for point in history] == [1], key


class TestIntensities:
    """The source program's networks saw 0 to 255 or 0 to 1; here it is always 0 to 1."""

    @pytest.mark.parametrize(
        "name",
        ["AttentionUNet", "UNet3Plus", "SwinUNet", "TransUNet", "U2Net", "SharpUNet",
         "DeepLabV3Plus"],
    )  # fmt: skip
    def test_of_bytes_are_said(self, imports, name):
        assert "intensities of 0 to 255" in imports.told(network_file(name), "different")

    @pytest.mark.parametrize("name", ["UNet", "MultiResUNet", "EfficientUNet"])
    def test_that_are_equal_are_not(self, imports, name):
        assert "intensities" not in imports.told(network_file(name), "different")

    def test_of_the_unet_follow_a_key(self, imports):
        text = network_file("UNet", "input_normalize = False")
        assert "0 to 255" in imports.notes(text, "unavailable")["input_normalize"]
        text = network_file("UNet", "input_normalize = True")
        assert "input_normalize" in imports.notes(text, "elsewhere")


class TestWhatIsAbsent:
    def comment(self, imports, text: str, key: str) -> str:
        """What the YAML says beside a setting, or in the lines above it."""
        lines = imports.config(text).text.splitlines()
        place = next(i for i, line in enumerate(lines) if line.lstrip().startswith(f"{key}:"))
        above = place
        while lines[above - 1].startswith("  #"):
            above -= 1
        return " ".join(" ".join(lines[above : place + 1]).replace("#", " ").split())

    def test_counts_of_steps_are_the_defaults_with_a_generator(self, imports):
        text = "[model]\ngenerator = True\n[train]\nbatch_size = 2\n"
        for key, value in (("steps_per_epoch", 400), ("validation_tiles", 1600)):
            comment = self.comment(imports, text, key)
            assert "not in the file; the source program's default" in comment
            assert f"{key}: {value}" in comment

    def test_counts_of_steps_are_no_defaults_without(self, imports):
        for key in ("steps_per_epoch", "validation_tiles"):
            comment = self.comment(imports, "[train]\nbatch_size = 2\n", key)
            assert "default" not in comment
            assert "there, " in comment

    def test_a_key_without_a_default_is_not_called_one(self, imports):
        comment = self.comment(imports, "[model]\nnum_layers = 3\n", "base_filters")
        assert "the source program has no default" in comment
        assert "the source program's default" in self.comment(imports, COMPLETE, "clipvalue")

    def test_tiles_are_blended_bitwise(self, imports):
        told = imports.told(COMPLETE, "different")
        assert "bitwise_blending is not in the file, and True there" in told
        assert "--mode intersection" in told
        for value, words in (("True", "--mode intersection"), ("False", "predict does not")):
            text = f"{COMPLETE}[tiledinfer]\nbitwise_blending = {value}\n"
            assert "bitwise" not in imports.told(text, "different")
            assert words in imports.notes(text, "elsewhere")["bitwise_blending"]

    def test_what_the_source_program_needs_is_said(self, imports):
        assert not imports.told(COMPLETE, "ending")
        for key in ("image_width", "learning_rate", "loss", "metrics", "base_filters"):
            lines = [line for line in COMPLETE.splitlines() if not line.startswith(key)]
            assert f"[model] {key}: missing" in imports.told("\n".join(lines), "ending")
        assert "cut off" not in imports.told(COMPLETE.replace("epochs = 1", ""), "ending")

    def test_a_file_that_is_cut_off_is_said(self, imports):
        head, _, _ = COMPLETE.partition("[train]")
        assert "the file may be cut off" in imports.told(head, "ending")
        for end in ('"bce_di', 'dice_loss"\nmetrics = [', '"bce_dice_loss"\nmetr'):
            text = head.partition('"bce_dice')[0] + end
            assert "the last, breaks off" in imports.told(text, "ending"), end
        assert "breaks off" not in imports.told(COMPLETE.rstrip(), "ending")

    def test_a_required_value_that_does_not_parse_is_said(self, imports):
        text = COMPLETE.replace("epochs = 1", "epochs = 1OO")
        assert "no default and ends" in imports.notes(text, "unreadable")["epochs"]


class TestWhatEndsTheSourceProgram:
    def test_a_key_or_a_section_given_twice(self, imports):
        text = f"{COMPLETE}epochs = 5\n[model]\ngenerator = True\n"
        assert imports.experiment(text).training.epochs == 5
        ending = imports.notes(text, "ending")
        assert "given again" in ending["epochs"]
        assert "there already" in ending["[model]"]
        assert "The source program ends with this file." in imports.config(text).text

    def test_is_told_on_the_screen(self, imports, tmp_path):
        path = imports.write(f"{COMPLETE}epochs = 5\n")
        done = CliRunner().invoke(app, ["import-config", str(path), "--out", str(tmp_path / "o")])
        assert "the source program ends: line 14, epochs: given again" in done.output


class TestTruth:
    """What had an effect there is never said to be without one."""

    def test_it_is_not_available(self, imports):
        text = (
            f"{COMPLETE}[mask]\nblur = True\n[dataset]\nresize_interpolation = 'cv2.INTER_CUBIC'\n"
            "[tiledinfer]\nthreshold = 60\nbinarize = True\n"
        )
        keys = {"blur", "resize_interpolation", "threshold", "binarize"}
        assert set(imports.notes(text, "unavailable")) == keys
        assert not imports.notes(text, "ignored")

    def test_the_screen_says_the_same_as_the_yaml(self, imports, tmp_path):
        path = imports.write(network_file("U2Net", "dropout_rate = 0.1") + MASK)
        done = CliRunner().invoke(app, ["import-config", str(path), "--out", str(tmp_path / "o")])
        shown = " ".join(done.output.split())
        written = " ".join((tmp_path / "o" / "Tiny.yaml").read_text().replace("#", "").split())
        notes = import_config(path).notes
        for note in notes:
            assert note.words in written, note
            told = note.kind not in {"ignored", "elsewhere"}
            assert (note.words in shown) == told, note


class TestExperimentOption:
    @pytest.mark.parametrize("name", ["a.json", "a.toml", "a", "a.config.txt"])
    def test_refuses_other_suffixes(self, imports, name):
        path = imports.write(COMPLETE, name)
        done = CliRunner().invoke(app, ["train", "--experiment", str(path)])
        assert isinstance(done.exception, ExperimentError)
        message = str(done.exception)
        assert (path.suffix or "no suffix") in message
        for accepted in (".yaml", ".yml", ".config", ".ini", ".cfg"):
            assert accepted in message


class TestHeader:
    def header(self, path) -> str:
        comments = [line for line in import_config(path).text.splitlines() if line[:1] == "#"]
        return " ".join(" ".join(comments).replace("#", "").split())

    def test_tells_files_of_one_name_apart(self, imports, tmp_path):
        places = ["projects/TensorflowUNet/Tiny/models", "projects/TensorflowU2Net/Tiny"]
        headers = []
        for place in places:
            (tmp_path / place).mkdir(parents=True)
            path = imports.write(COMPLETE, f"{place}/train_eval_infer.config")
            headers.append(self.header(path))
        assert headers[0].startswith(
            "Imported from TensorflowUNet/Tiny/models/train_eval_infer.config."
        )
        assert headers[1].startswith("Imported from TensorflowU2Net/Tiny/train_eval_infer.config.")
        assert str(tmp_path) not in headers[0]

    def test_has_the_last_folders_where_there_are_no_projects(self, imports, tmp_path):
        (tmp_path / "a" / "b" / "c").mkdir(parents=True)
        path = imports.write(COMPLETE, "a/b/c/train_eval_infer.config")
        assert self.header(path).startswith("Imported from b/c/train_eval_infer.config.")


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
                found = imports.experiment(network_file(name)).model.model_dump()
                assert {key: found[key] for key in network.always} == network.always, name
