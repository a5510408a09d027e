"""A configuration of the source program becomes an experiment, and every key is accounted for."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.cli.arguments import load_file
from tiledseg.config.experiment import load_experiment, parse_experiment
from tiledseg.errors import ExperimentError, OutputError
from tiledseg.legacy import import_config, write_experiments
from tiledseg.legacy.ini import read_entries
from tiledseg.legacy.source_networks import SOURCE_NETWORKS
from tiledseg.legacy.translation import translate

ALL = """
[model]
model = "TensorflowUNet"
generator = True
image_width = 384
image_height = 384
image_channels = 3
num_classes = 1
base_filters = 8
base_kernels = (5,5)
num_layers = 6
dropout_rate = 0.04
learning_rate = 0.0003
clipvalue = 0.5
dilation = (2,2)
activation = "mish"
normalization = True
optimizer = "AdamW"
loss = "bce_iou_loss"
metrics = ["dice_coef"]
[train]
epochs = 90
batch_size = 3
steps_per_epoch = 150
validation_steps = 20
patience = 8
learning_rate_reducer = True
reducer_factor = 0.4
reducer_patience = 3
image_datapath = "../../../dataset/Smears/train/images/"
epoch_change_tiledinfer = True
num_infer_images = 6
[mask]
binarize = True
threshold = 60
[image]
color_converter = "cv2.COLOR_BGR2HSV_FULL"
gamma = 1.5
[augmentor]
hflip = True
vflip = False
rotation = True
angles = [90, 180, 270]
shrinks = [0.8, 0.7]
brightening = True
[brightening]
alpha = 1.2
beta = 51
"""


_KEYS = [
    *("model", "generator", "image_width", "num_layers", "base_kernels", "dropout_rate", "loss"),
    *("epochs", "batch_size", "threshold", "binarize", "gamma", "angles", "shrinks"),
    *("image_channels", "model", "filters", "base_ksize", "num_heads", "window_size", "depth"),
    *("embed_dim", "hidden_size", "num_mlp", "metrics", "datasetclass", "algorithm"),
]


class TestWhatKeysMean:
    def test_all_that_the_experiment_has(self, imports):
        experiment = imports.experiment(ALL)
        flat = experiment.flatten()
        expected = {
            "dataset.name": "Smears",
            "dataset.mask_threshold": 59,
            "image.size": 384,
            "image.channels": 3,
            "image.color_space": "hsv",
            "image.gamma": 1.5,
            "model.architecture": "UNet",
            "model.base_filters": 8,
            "model.base_kernels": 5,
            "model.num_layers": 6,
            "model.dropout_rate": 0.04,
            "model.dropout_growth": "from_second",
            "model.dilation": 2,
            "model.activation": "mish",
            "model.normalization": "batch",
            "training.epochs": 90,
            "training.batch_size": 3,
            "training.steps_per_epoch": 150,
            "training.validation_tiles": 60,
            "training.foreground_fraction": 0.0,
            "training.loss": "bce_iou",
            "training.optimizer": "AdamW",
            "training.weight_decay": 0.004,
            "training.learning_rate": 0.0003,
            "training.clipvalue": 0.5,
            "training.clipnorm": None,
            "training.schedule": "plateau",
            "training.reducer_factor": 0.4,
            "training.reducer_patience": 3,
            "training.patience": 8,
            "training.monitor": "val_loss",
            "training.epoch_pictures": 6,
            "augmentation.hflip": True,
            "augmentation.vflip": False,
            "augmentation.quarter_turns": True,
            "augmentation.scale": 0.3,
            "augmentation.brightness": 0.2,
            "augmentation.contrast": 0.2,
            "augmentation.hue": 0.0,
        }
        assert {key: flat[key] for key in expected} == expected

    def test_defaults_of_the_source_program(self, imports):
        flat = imports.experiment("[model]\nnum_layers = 4\n").flatten()
        assert flat["dataset.name"] == "Tiny"  # the file's own name
        assert (flat["model.base_kernels"], flat["model.normalization"]) == (3, "none")
        assert (flat["training.clipvalue"], flat["training.schedule"]) == (0.2, "constant")
        assert flat["training.loss"] == "bce"
        shapes = {"augmentation.elastic_smoothness", "augmentation.lens_radius"}
        amplitudes = {key for key in flat if key.startswith("augmentation.")} - shapes
        assert not any(flat[key] for key in amplitudes), "off unless generator is True"

    def test_generator_alone_turns_the_default_augmentation_on(self, imports):
        flat = imports.experiment("[model]\ngenerator = True\n").flatten()
        assert flat["augmentation.hflip"]
        assert flat["augmentation.quarter_turns"]
        assert flat["augmentation.scale"] == 0.2
        assert flat["augmentation.rotation"] == 0.0
        assert flat["training.steps_per_epoch"] == 400
        assert flat["training.validation_tiles"] == 4 * 800
        off = "[model]\ngenerator = True\n[generator]\naugmentation = False\n"
        assert not imports.experiment(off).augmentation.hflip

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("../../../dataset/Tiled-Cell/train/images/", "Tiled-Cell"),
            ("./MultipleMyeloma/train/images/", "MultipleMyeloma"),
            (
                "../../dataset/Tiled-Cervical-Cancer/Metaplastic/train/images",
                "Tiled-Cervical-Cancer",
            ),
            ("..\\..\\dataset\\Tiled-Cell\\train\\images", "Tiled-Cell"),
            ("..../dataset/A b/train", "A b"),
            ("/home/a/data/x/y/../Nerve(1)/images", "x"),
            ("./images/", "Tiny"),
        ],
    )
    def test_the_dataset_is_named_by_its_folder(self, imports, path, name):
        assert imports.experiment(f'[train]\nimage_datapath = "{path}"\n').dataset.name == name

    def test_a_default_file_name_names_no_dataset(self, imports, tmp_path):
        folder = tmp_path / "Nerve"
        folder.mkdir()
        path = imports.write("[model]\nnum_layers = 3\n", "Nerve/train_eval_infer_aug.config")
        assert load_file(path).dataset.name == "Nerve"

    def test_sizes_suit_the_levels(self, imports):
        text = "[model]\nimage_width = 200\nimage_height = 300\nnum_layers = 8\n"
        config = imports.config(text)
        assert config.settings["image"]["size"] == 256
        assert "crops are square here, not 200 x 300; 8 levels need a multiple of 128" in (
            " ".join(config.text.replace("#", "").split())
        )
        assert config.settings["tiling"]["max_tile"] >= 24 * 128

    def test_dropout_leaves_something(self, imports):
        text = "[model]\nnum_layers = 8\ndropout_rate = 0.2\n"
        assert imports.experiment(text).model.dropout_rate == 0.128

    @pytest.mark.parametrize(
        ("line", "key", "value"),
        [
            ("base_kernels = (4,4)", "model.base_kernels", 5),
            ("num_classes = 400", "model.num_classes", 1),
            ("model = 'TensorflowPSPNet'", "model.architecture", "UNet"),
            ("activation = 'snake'", "model.activation", "relu"),
            ("optimizer = 'SGD'", "training.optimizer", "Adam"),
            ("loss = 'categorical_focal'", "training.loss", "bce"),
            ("clipvalue = 0", "training.clipvalue", 0.2),
            ("base_filters = -1", "model.base_filters", 16),
            ("image_channels = 4", "image.channels", 3),
            ("learning_rate = 0", "training.learning_rate", 0.001),
        ],
    )
    def test_what_the_experiment_cannot_take_is_said(self, imports, line, key, value):
        text = f"[model]\n{line}\n"
        assert imports.experiment(text).flatten()[key] == value
        if "kernels" not in line:
            assert list(imports.notes(text, "unavailable")) == [line.split()[0]]

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("'TensorflowAttentionUNet'", {"architecture": "AttentionUNet", "num_layers": 4}),
            ("'TensorFlowMultiResUNet'", {"architecture": "MultiResUNet", "num_layers": 4}),
            ("'TensorflowUNet3Plus'", {"architecture": "UNet3Plus", "base_filters": 8}),
            ("'TensorflowU2Net'", {"architecture": "U2Net", "normalization": "none"}),
            ("'TensorflowSharpUNet'", {"architecture": "SharpUNet", "dilation": 2}),
            ("'TensorflowDeepLabV3Plus'", {"architecture": "DeepLabV3Plus", "base_filters": 16}),
            ("'TensorflowEfficientUNet'\nefficientnet = 'B2'", {"efficientnet": "B2"}),
            ("'TensorflowEfficientNetB7UNet'", {"efficientnet": "B7"}),
            (
                "'TensorflowSwinUNet'\npatch_size = (2, 2)\nfilter_num_begin = 64\n"
                "num_heads = [4, 8, 8, 8]\nwindow_size = [4, 2, 2, 2]",
                {"patch_size": 2, "embed_dim": 64, "num_heads": 4, "window_size": 4},
            ),
            (
                "'TensorflowSwinUNet'\nfilter_num_begin = 32\nnum_heads = 6",
                {"embed_dim": 32, "num_heads": 4},
            ),
            (
                "'TensorflowSwinUNet'\nfilter_num_begin = 128\nnum_heads = [32]",
                {"embed_dim": 128, "num_heads": 16},
            ),
            (
                "'TensorflowSwinUNet'\nfilter_num_begin = 128\nnum_heads = [0]",
                {"embed_dim": 128, "num_heads": 1},
            ),
            (
                "'TensorflowTransUNet'\nnum_transformer = 3\nembed_dim = 128",
                {"num_transformer": 3, "hidden_size": 128},
            ),
        ],
    )
    def test_architectures(self, imports, line, expected):
        """What the source program's network does not read has no effect, and is told."""
        text = (
            f"[model]\nmodel = {line}\nbase_filters = 8\nbase_kernels = (7, 7)\n"
            "num_layers = 4\ndilation = (2, 2)\ndropout_rate = 0.25\n"
        )
        model = imports.experiment(text).model
        assert {key: getattr(model, key) for key in expected} == expected
        assert not imports.notes(text, "unavailable")
        ignored = imports.notes(text, "ignored")
        reads = SOURCE_NETWORKS[line.split("'")[1][len("Tensorflow") :]].reads
        keys = {"base_filters", "base_kernels", "num_layers", "dilation", "dropout_rate"}
        assert keys - reads == set(ignored) & keys

    def test_files_of_the_later_program(self, imports):
        """From 2025 on some keys have other names, and masks may hold several classes."""
        text = (
            "[model]\nmodel = 'TensorFlowFlexUNet'\nnum_classes = 3\nactivation = 'ReLU'\n"
            "loss = 'categorical_crossentropy'\nmetrics = ['dice_coef_multiclass']\n"
            "[train]\nepoch_change_tiled_infer = True\nnum_infer_images = 4\n"
            "images_dir = '../../../dataset/Fields/train/images/'\n"
            "[valid]\nimages_dir = '../../../dataset/Fields/valid/images'\n"
            "[mask]\nrgb_map = {(0,0,0):0, (9,9,9):1, (250,5,5):2,}\n"
            "mask_file_format = '.png'\n[image]\ncolor_order = 'RGB'\n[dataset]\nclass_name='a'\n"
        )
        experiment = imports.experiment(text)
        assert experiment.dataset.name == "Fields"
        assert experiment.dataset.mask_form == "colors"
        assert experiment.dataset.mask_colors == ("#000000", "#090909", "#fa0505")
        assert experiment.class_names == ("background", "class 1", "class 2")
        assert experiment.model.num_classes == 3
        assert experiment.training.loss == "bce"
        assert experiment.training.epoch_pictures == 4
        assert not imports.notes(text, "unavailable")
        assert not imports.notes(text, "unreadable")
        assert not [w for w in imports.notes(text, "ignored").values() if "no such key" in w]

    def test_many_classes_make_a_yaml_that_reads_back(self, imports, tmp_path):
        colors = ", ".join(f"({label},0,0):{label}" for label in range(40))
        text = f"[model]\nnum_classes = 40\n[mask]\nrgb_map = {{{colors}}}\n"
        path = tmp_path / "many.yaml"
        path.write_text(imports.config(text).text)
        assert load_experiment(path).dataset.mask_colors[-1] == "#270000"

    @pytest.mark.parametrize(
        ("rgb_map", "kind"),
        [
            ("{(0,0,0):0, (9,9,9):1}", "unavailable"),  # a class without a color
            ("{(0,0,0):0, (9,9,9):1, (5,5,5):3}", "unreadable"),
            ("{(0,0,0):0, (9,9,9):1, (5,5,500):2}", "unreadable"),
            ("{'black':0, 'red':1, 'blue':2}", "unreadable"),
            ("[(0,0,0), (9,9,9)]", "unreadable"),
        ],
    )
    def test_colors_that_are_no_classes(self, imports, rgb_map, kind):
        text = f"[model]\nnum_classes = 3\n[mask]\nrgb_map = {rgb_map}\n"
        assert list(imports.notes(text, kind)) == ["rgb_map"]
        assert imports.experiment(text).dataset.mask_form == "labels"

    def test_masks_that_are_arrays(self, imports):
        text = (
            "[model]\nnum_classes = 2\nfinal_activation = 'sigmoid'\n"
            "[mask]\nmask_file_format = '.npz'\nthreshold = 60\n"
        )
        experiment = imports.experiment(text)
        assert (experiment.dataset.mask_form, experiment.model.num_classes) == ("labels", 2)
        notes = imports.notes(text, "unavailable")
        assert set(notes) == {"mask_file_format", "final_activation"}
        assert "every pixel" in imports.notes(text, "ignored")["threshold"]

    @pytest.mark.parametrize(
        ("source", "ours"),
        [
            ("binary_crossentropy", "bce"),
            ("dice_loss", "dice"),
            ("iou_loss", "iou"),
            ("bce_dice_loss", "bce_dice"),
            ("bce_iou_loss", "bce_iou"),
            ("basnet_hybrid_loss", "basnet_hybrid"),
        ],
    )
    def test_losses_of_the_source(self, imports, source, ours):
        assert imports.experiment(f"[model]\nloss = '{source}'\n").training.loss == ours

    def test_deformations(self, imports):
        text = (
            "[model]\ngenerator = True\n[augmentor]\nangles=[5,350]\nshears=[-.2,.1]\n"
            "deformation=True\ndistortion=False\nbarrdistortion=True\npincdistortion=True\n"
            "sharpening=True\n[deformation]\nalpah=300\nsigmoid=10\n[distortion]\n"
            "distortions=[.02]\n[barrdistortion]\namount=0.4\nradius=0.2\ncenters=[(0.3,0.3)]\n"
            "[pincdistortion]\namount=-0.2\n[sharpening]\nk=1.5\n"
        )
        flat = imports.experiment(text).augmentation
        assert (flat.quarter_turns, flat.rotation, flat.shear) == (False, 10.0, 0.2)
        assert flat.elastic == pytest.approx(300 / (2 * math.sqrt(3 * math.pi) * 10), rel=1e-5)
        assert (flat.elastic_smoothness, flat.grid_distortion) == (10.0, 0.0)
        assert (flat.barrel, flat.pincushion, flat.lens_radius) == (0.4, 0.2, 0.5)
        assert flat.sharpening == 1.5
        assert set(imports.notes(text, "unavailable")) == {"centers"}
        assert set(imports.notes(text, "ignored")) == {"distortion", "distortions"}

    def test_an_elastic_deformation_that_folds_is_lowered(self, imports):
        text = (
            "[model]\ngenerator=True\n[augmentor]\ntransformer=True\nalpah=1300\nsigmoid=8\n"
            "angles=[90,210]\n"
        )
        augmentation = imports.experiment(text).augmentation
        assert (augmentation.elastic, augmentation.elastic_smoothness) == (4.0, 8.0)
        assert (augmentation.quarter_turns, augmentation.rotation) == (True, 30.0)


class TestUnreadable:
    def test_the_source_programs_default_is_used_and_said(self, imports):
        text = "[model]\ngenerator = Flase\nnormalization = Ture\nclipvalue = 0,5,\n"
        experiment = imports.experiment(text)
        assert experiment.training.clipvalue == 0.2
        assert experiment.model.normalization == "none"
        notes = imports.notes(text, "unreadable")
        assert set(notes) == {"generator", "normalization", "clipvalue"}
        assert notes["generator"] == "not a value; False is used"

    @pytest.mark.parametrize("key", ["epochs", "unheard_of", "model_dir"])
    def test_code_is_not_run(self, imports, tmp_path, key):
        text = f"[train]\n{key} = __import__('os').system('touch ran')\n"
        assert key in imports.notes(text, "unreadable")
        imports.experiment(text)
        assert not (tmp_path / "ran").exists()

    def test_a_semicolon_behind_a_value_that_must_be_there(self, imports):
        text = "[model]\nlearning_rate = 0.0002 ; small\nclipvalue = 0.5 ; strict\n"
        training = imports.experiment(text).training
        assert (training.learning_rate, training.clipvalue) == (0.0002, 0.2)
        assert set(imports.notes(text, "unreadable")) == {"learning_rate", "clipvalue"}

    def test_keys_given_twice_misspelt_or_out_of_place(self, imports):
        text = (
            'x = 1\n[model]\nOptimizer = "Adam"\noptimizer = "AdamW"\nself.activation = "mish"\n'
            "what\n"
        )
        assert imports.experiment(text).training.optimizer == "AdamW"
        ending = imports.notes(text, "ending")
        assert "given again in line 4" in ending["optimizer"]
        assert "before the first" in ending["x"]
        assert "no KEY = VALUE" in ending["what"]
        assert "was activation meant?" in imports.notes(text, "ignored")["self.activation"]


class TestTheYaml:
    def test_names_every_key_of_the_file(self, imports):
        text = ALL + "[segmentation]\ncolorize = True\n[future]\nkey = 1\n"
        written = imports.config(text).text
        for entry in read_entries(text, "a"):
            assert f"[{entry.section}] {entry.key} = " in " ".join(
                written.replace("\n    #", " ").split()
            ), entry

    def test_comments_cannot_be_broken_out_of(self, imports):
        text = '[model]\nevil = "a\\nb"\n  training: {epochs: 1}\nnot \u2028 this\x85 = 3\n'
        assert imports.experiment(text).training.epochs == 100

    @settings(max_examples=40)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["model", "train", "mask", "image", "dataset", "augmentor", "zzz", ""]
                ),
                st.sampled_from(_KEYS) | st.text(max_size=8),
                st.text(max_size=12)
                | st.integers(-5, 9999).map(str)
                | st.floats().map(str)
                | st.sampled_from([f"'Tensorflow{name}'" for name in SOURCE_NETWORKS])
                | st.sampled_from(["True", "(3,3)", "[]", "[8, 4]", "None", "1e300", "'Base'"]),
            ),
            min_size=1,
            max_size=12,
        )
    )
    def test_is_an_experiment_whatever_the_file(self, keys):
        from pathlib import Path

        from tiledseg.legacy.document import _lines

        text = "[model]\na = 1\n" + "".join(f"[{s}]\n{k} = {v}\n" for s, k, v in keys)
        entries = read_entries(text, "a")
        reader = translate(entries, "Tiny")
        told = [id(note.entry) for note in reader.notes if note.entry]
        used = {id(entry) for setting in reader.settings for entry in setting.entries}
        assert sorted(told) == sorted(set(told))
        assert {id(entry) for entry in entries} == used | set(told)
        assert not used & set(told)
        parse_experiment("\n".join(_lines(Path("a.config"), reader)), "a")


class TestFiles:
    def test_are_never_overwritten(self, imports, tmp_path):
        config = imports.config(ALL)
        (path,) = write_experiments([config], tmp_path / "out")
        assert load_experiment(path) == imports.experiment(ALL)
        path.write_text("mine")
        with pytest.raises(OutputError, match=r"Smears\.yaml: exists, and is not overwritten"):
            write_experiments([config], tmp_path / "out")
        assert path.read_text() == "mine"

    def test_of_one_dataset_are_numbered(self, imports, tmp_path):
        paths = write_experiments([imports.config(ALL)] * 3, tmp_path / "out")
        assert [path.name for path in paths] == ["Smears.yaml", "Smears-2.yaml", "Smears-3.yaml"]

    def test_into_a_place_that_is_none(self, imports, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot be written"):
            write_experiments([imports.config(ALL)], tmp_path / "file" / "out")

    @pytest.mark.parametrize("content", [b"", b"\x00\x01\xff", b"[model]\n", b"PK\x03\x04" * 99])
    def test_that_are_none_are_refused(self, imports, content):
        with pytest.raises(ExperimentError) as caught:
            import_config(imports.write(content))
        assert "Tiny.config: " in str(caught.value)
        assert "\n" not in str(caught.value)


class TestCommand:
    def run(self, *words):
        return CliRunner().invoke(app, ["import-config", *map(str, words)])

    def test_writes_and_says_what_is_lost(self, imports, tmp_path):
        path = imports.write(ALL.replace("bce_iou_loss", "made_up_loss"), "a.config")
        done = self.run(path, "--out", tmp_path / "out")
        assert done.exit_code == 0
        assert "1 key not available, 0 unreadable" in done.output
        assert "training.loss cannot be 'made_up'" in done.output
        assert load_experiment(tmp_path / "out" / "Smears.yaml").dataset.name == "Smears"

    def test_writes_the_good_ones_and_names_the_bad(self, imports, tmp_path):
        good, bad = imports.write(ALL, "good.config"), imports.write(b"\x00", "bad.config")
        done = self.run(bad, good, tmp_path / "absent.config", "--out", tmp_path / "out")
        assert isinstance(done.exception, ExperimentError)
        assert "bad.config: holds bytes" in str(done.exception)
        assert "absent.config: no such" in str(done.exception)
        assert (tmp_path / "out" / "Smears.yaml").exists()

    def test_experiment_takes_a_config(self, imports, monkeypatch):
        caught = []

        def train(experiment, observers, **_):
            caught.append(experiment)
            raise KeyboardInterrupt

        monkeypatch.setattr("tiledseg.pipeline.train", train)
        path = imports.write(ALL)
        words = ["train", "--experiment", str(path), "--set", "training.epochs=2"]
        CliRunner().invoke(app, words)
        assert caught[0].training.epochs == 2
        assert caught[0].dataset.name == "Smears"
