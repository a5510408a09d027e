"""Small configurations mean what they meant in the source program, or it is said.

Each class is one point in which an import could mean something else.
"""

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
        path = imports.write(imports.network("U2Net", "dropout_rate = 0.1") + MASK)
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
