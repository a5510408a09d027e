"""A dataset cut into another: files, manifest, statistics; killed, gone on, and refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.config.experiment import load_experiment
from tiledseg.data.dataset import load_dataset
from tiledseg.data.prepare.prepare import prepare_dataset
from tiledseg.data.prepare.spec import PreparationSpec
from tiledseg.data.split import source_of
from tiledseg.errors import DatasetError, ExperimentError, OutputError
from tiledseg.images.hashing import hash_content
from tiledseg.images.label_files import read_label_map
from tiledseg.images.reading import read_image, read_mask
from tiledseg.images.writing import write_image
from tiledseg.masks.classes import IGNORED

SPEC = PreparationSpec(tile=48, overlap=8, reduce=64, augment=1)


@pytest.fixture(scope="module")
def ready(tiny_dataset, tiny_experiment, tmp_path_factory):
    """A data root with a dataset, and what was cut from it."""
    root = tmp_path_factory.mktemp("ready")
    tiny_dataset(root, images=(6, 0, 0))
    prepare(root, tiny_experiment)
    return root


@pytest.fixture
def root(ready, tmp_path):
    """A copy to spoil."""
    return Path(shutil.copytree(ready, tmp_path / "copy"))


@pytest.fixture
def whole(ready):
    return files_in(ready / "Cut")


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def prepare(root, tiny_experiment, name="Cut", spec=SPEC, **more):
    return prepare_dataset(tiny_experiment(), root, name, spec, **more)


class TestTheNewDataset:
    def test_loads_with_its_own_experiment_and_no_source_in_two_splits(self, root, tiny_experiment):
        prepared = prepare(root, tiny_experiment)
        dataset = load_dataset(prepared.experiment.dataset, root)
        assert not dataset.drawn
        sources = {
            split: {source_of(sample.stem) for sample in samples}
            for split, samples in dataset.splits.items()
        }
        assert sorted(map(len, sources.values())) == [1, 1, 4]
        assert len(set().union(*sources.values())) == 6

    def test_the_manifest_tells_where_every_file_is_from(self, root, tiny_experiment):
        prepared = prepare(root, tiny_experiment)
        table = pd.read_csv(prepared.folder / "manifest.csv", dtype={"stem": str, "source": str})
        pd.testing.assert_frame_equal(table, prepared.manifest)
        written = {name for name in files_in(prepared.folder) if name.endswith(".png")}
        named = set()
        for row in table.itertuples():
            for kind, digest in (("images", row.image_digest), ("masks", row.mask_digest)):
                name = f"{row.split}/{kind}/{row.stem}.png"
                named.add(name)
                assert hash_content(prepared.folder / name) == digest
            mask = read_mask(prepared.folder / row.split / "masks" / f"{row.stem}.png")
            assert mask.sum() == row.foreground
            if row.kind == "tile" and row.copy == 0:
                source = read_image(root / "Tiny" / "train" / "images" / f"{row.source}.png")
                rows, columns = slice(row.top, row.top + 48), slice(row.left, row.left + 48)
                image = read_image(prepared.folder / row.split / "images" / f"{row.stem}.png")
                assert (image == source[rows, columns]).all()
        assert named == written - {"statistics.png"}

    def test_statistics_are_those_of_the_files(self, root, tiny_experiment):
        prepared = prepare(root, tiny_experiment)
        table = pd.read_csv(prepared.folder / "statistics.csv").set_index(["split", "kind"])
        assert table.loc[("train", "all"), "files"] == len(
            list((prepared.folder / "train" / "images").iterdir())
        )
        assert table.loc[("train", "tile"), "files"] == 4 * 9 * 2
        assert table.loc[("valid", "reduced"), "files"] == 1
        masks = [read_mask(path) for path in (prepared.folder / "test" / "masks").iterdir()]
        share = sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks)
        assert table.loc[("test", "all"), "foreground"] == pytest.approx(share, rel=1e-4)
        assert table.loc[("test", "all"), "empty"] == sum(not mask.any() for mask in masks)
        assert read_image(prepared.folder / "statistics.png").std() > 0

    def test_again_changes_nothing(self, root, tiny_experiment):
        folder = prepare(root, tiny_experiment).folder
        before = files_in(folder)
        times = {path: path.stat().st_mtime_ns for path in folder.rglob("images/*.png")}
        prepare(root, tiny_experiment)
        assert files_in(folder) == before
        assert all(path.stat().st_mtime_ns == time for path, time in times.items())

    def test_of_another_image_with_the_spec_alone_is_refused(self, root, tiny_experiment):
        prepare(root, tiny_experiment)
        image = root / "Tiny" / "train" / "images" / "disc0.png"
        write_image(image, 255 - read_image(image))
        with pytest.raises(OutputError, match=r"another spec .*source_digest"):
            prepare(root, tiny_experiment)


class TestSeveralClasses:
    """Labels 0 to 2 and pixels that nobody knows, as a gray PNG of the user's."""

    DATASET: ClassVar = {
        "name": "Labels",
        "mask_form": "labels",
        "classes": ("background", "cytoplasm", "nucleus"),
        "ignore_label": 9,
    }

    @pytest.fixture
    def labels(self):
        labels = np.zeros((70, 90), np.uint8)
        labels[10:30, 10:30], labels[15:22, 15:22], labels[60:70] = 1, 2, 9
        return labels

    def test_labels_stay_labels(self, tmp_path, tiny_experiment, labels):
        for stem in "abc":
            write_image(tmp_path / "Labels" / "images" / f"{stem}.png", np.dstack([labels] * 3))
            write_image(tmp_path / "Labels" / "masks" / f"{stem}.png", labels)
        experiment = tiny_experiment(dataset=self.DATASET, model={"num_classes": 3})
        spec = PreparationSpec(tile=40, reduce=70, uncut=("test",))
        prepared = prepare_dataset(experiment, tmp_path, "Cut", spec)
        made = prepared.experiment.dataset
        assert made.classes == self.DATASET["classes"]
        dataset = load_dataset(made, tmp_path)
        (whole,) = dataset.splits["test"]
        expected = np.where(labels == 9, IGNORED, labels)
        np.testing.assert_array_equal(
            read_label_map(whole.mask, made.foreground_threshold), expected
        )
        for sample in dataset.splits["train"]:
            found = read_label_map(sample.mask, made.foreground_threshold)
            assert set(np.unique(found)) <= {0, 1, 2, IGNORED}
            if "_r" in sample.stem:
                top, left = (int(part[1:]) for part in sample.stem.split("_")[1:])
                part = expected[top : top + 40, left : left + 40]
                np.testing.assert_array_equal(found, part)
        row = prepared.manifest.set_index("split").loc["test"]
        assert (row["foreground"], row["objects"]) == (400, 1)


class TestGoingOn:
    def test_after_a_job_that_failed(self, root, whole, tiny_experiment):
        shutil.rmtree(root / "Cut")
        broken = root / "Tiny" / "train" / "masks" / "disc3.png"
        sound = broken.read_bytes()
        write_image(broken, read_image(broken)[:50])
        with pytest.raises(DatasetError, match="the mask is 96 x 50"):
            prepare(root, tiny_experiment)
        folder = root / "Cut"
        assert not (folder / "manifest.csv").exists()
        broken.write_bytes(sound)
        spec = json.loads((folder / "spec.json").read_text())
        spec["source_digest"] = json.loads(whole["spec.json"])["source_digest"]
        (folder / "spec.json").write_text(json.dumps(spec, indent=2))
        prepare(root, tiny_experiment)
        assert files_in(folder) == whole

    def test_killed_and_called_again_the_files_are_the_same(
        self, root, whole, tiny_experiment, tmp_path
    ):
        """SIGKILL in the middle of a file; then the same call again."""
        shutil.rmtree(root / "Cut")
        experiment = tmp_path / "Tiny.yaml"
        experiment.write_text(tiny_experiment().to_yaml())
        program = (
            "import os, signal, sys\n"
            "from pathlib import Path\n"
            "from tiledseg.config.experiment import load_experiment\n"
            "from tiledseg.data.prepare import layout\n"
            "from tiledseg.data.prepare.prepare import prepare_dataset\n"
            "from tiledseg.data.prepare.spec import PreparationSpec\n"
            "left = int(sys.argv[3])\n"
            "write = layout.write_mask\n"
            "def killing(path, mask):\n"
            "    global left\n"
            "    left -= 1\n"
            "    if left == 0:\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            "    write(path, mask)\n"
            "layout.write_mask = killing\n"
            "prepare_dataset(load_experiment(Path(sys.argv[1])), Path(sys.argv[2]), 'Cut',\n"
            f"    {SPEC!r})\n"
        )
        killed = subprocess.run(
            [sys.executable, "-c", program, str(experiment), str(root), "50"],
            check=False,
            capture_output=True,
        )
        assert killed.returncode == -signal.SIGKILL
        assert (root / "Cut" / ".unfinished" / "done.jsonl").is_file()
        assert not (root / "Cut" / "manifest.csv").exists()
        done = []
        prepare(root, tiny_experiment, progress=lambda count, of: done.append(count))
        assert done[0] > 1  # what was done before was not done again
        assert files_in(root / "Cut") == whole

    def test_a_line_that_was_being_written_is_left_out(self, root, tiny_experiment):
        folder = prepare(root, tiny_experiment).folder
        whole = files_in(folder)
        (folder / "manifest.csv").unlink()
        (folder / ".unfinished").mkdir()
        (folder / ".unfinished" / "done.jsonl").write_text('{"job": "train/disc0", "rows": [{"sp')
        prepare(root, tiny_experiment)
        assert files_in(folder) == whole


class TestRefusing:
    def test_another_spec(self, root, tiny_experiment):
        before = files_in(prepare(root, tiny_experiment).folder)
        with pytest.raises(OutputError, match=r"another spec \(tile 48, now 32\)"):
            prepare(root, tiny_experiment, spec=PreparationSpec(32, 8, reduce=64, augment=1))
        assert files_in(root / "Cut") == before

    def test_another_reading_of_the_masks(self, root, tiny_experiment):
        prepare(root, tiny_experiment)
        changed = tiny_experiment(dataset={"mask_threshold": 50})
        with pytest.raises(OutputError, match=r"another spec \(mask_threshold 127, now 50\)"):
            prepare_dataset(changed, root, "Cut", SPEC)

    def test_masks_that_mark_nothing(self, root, tiny_experiment):
        for path in (root / "Tiny").rglob("masks/*"):
            write_image(path, read_mask(path))
        with pytest.raises(DatasetError, match=r"from train and valid and test.*mask_threshold"):
            prepare(root, tiny_experiment, "Objects", PreparationSpec(objects=48))
        assert not (root / "Objects" / "manifest.csv").exists()

    def test_a_folder_that_is_not_ours(self, root, tiny_experiment):
        (root / "Mine").mkdir()
        (root / "Mine" / "notes.txt").write_text("mine")
        with pytest.raises(OutputError, match="holds files already"):
            prepare(root, tiny_experiment, "Mine")
        assert files_in(root / "Mine") == {"notes.txt": b"mine"}

    def test_a_file_that_somebody_put_where_ours_goes(self, root, tiny_experiment):
        folder = prepare(root, tiny_experiment).folder
        (folder / "manifest.csv").unlink()
        target = folder / "train" / "masks" / "disc0_r0_c0.png"
        others = [folder / "valid" / "masks" / target.name, folder / "test" / "masks" / target.name]
        path = next(path for path in (target, *others) if path.exists())
        path.write_bytes(b"drawn by hand")
        with pytest.raises(OutputError, match="nothing is overwritten"):
            prepare(root, tiny_experiment)
        assert path.read_bytes() == b"drawn by hand"

    @pytest.mark.parametrize("name", ["Tiny", "../away", ""])
    def test_names_that_cannot_be(self, root, tiny_experiment, name):
        with pytest.raises(ExperimentError, match="--into"):
            prepare(root, tiny_experiment, name=name)


class TestTheCommand:
    def run(self, *words):
        return CliRunner().invoke(app, ["prepare", "--dataset", "Tiny", *words])

    @pytest.fixture(autouse=True)
    def _experiments(self, tiny_dataset, tiny_experiment):
        tiny_dataset(images=(3, 1, 1))
        Path("experiments").mkdir()
        Path("experiments/Tiny.yaml").write_text(tiny_experiment().to_yaml())

    def test_writes_dataset_and_experiment(self):
        done = self.run("--into", "Cut", "--tile", "48", "--empty", "0.5", "--uncut", "test")
        assert done.exit_code == 0, done.output
        folder = Path(os.environ["TILEDSEG_DATA"]) / "Cut"
        assert str(folder) in done.output
        assert len(list((folder / "test" / "images").iterdir())) == 1
        made = load_experiment(Path("experiments/Cut.yaml"))
        assert made.dataset.name == "Cut"
        assert load_dataset(made.dataset, folder.parent).splits["valid"]

    def test_leaves_an_experiment_that_is_there(self):
        Path("experiments/Cut.yaml").write_text("dataset: {name: Cut}")
        done = self.run("--into", "Cut", "--tile", "48")
        assert "stays as it is" in done.output
        assert Path("experiments/Cut.yaml").read_text() == "dataset: {name: Cut}"

    def test_cutting_without_a_name_is_refused(self):
        done = self.run("--tile", "48")
        assert isinstance(done.exception, ExperimentError)
        assert "--into NAME" in str(done.exception)
