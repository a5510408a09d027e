"""The source experiments are what their published configurations say.

The pages lie beside a checkout of the project, not in it; without them, those tests are skipped.
"""

import html
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.cli.arguments import load_file
from tiledseg.config.experiment import available_experiments, load_experiment
from tiledseg.legacy import import_config

PROJECT = Path(__file__).resolve().parents[2]
SOURCE = PROJECT / "experiments" / "source"
SEEDS = PROJECT.parent / "shared" / "seeds"

PAGES = {
    "Tiled-Cell": "Tiled-Cell-PNG-Bare-Nuclei",
    "Tiled-Cervical-Cancer": "Tiled-Cervical-Cancer",
    "MultipleMyeloma": "Tiled-Image-Segmentation-Multiple-Myeloma",
    "Tiled-MultipleMyeloma": "Tiled-MultipleMyeloma-2",
    "Malignant-BreastDM": "Malignant-BreastDM",
}
SAID_IN_WORDS = {
    "Tiled-MultipleMyeloma": {"dataset.name", "model.normalization"},
    "Malignant-BreastDM": {"dataset.name"},
}
"""What the text of a page says and its extracts of the configuration do not."""
LIES_ELSEWHERE = {"Tiled-Cervical-Cancer": {"dataset.images", "dataset.masks"}}
"""Where the published images lie in folders that the experiment does not expect."""


def published(page: Path) -> str:
    """The configuration on a page, or its extracts, one after the other."""
    blocks = re.findall(r"<pre[^>]*>(.*?)</pre>", page.read_text(encoding="utf-8"), re.DOTALL)
    texts = [html.unescape(re.sub(r"<[^>]+>", "", block)) for block in blocks]
    texts = [text for text in texts if re.search(r"^\[(model|train|dataset)\]", text, re.MULTILINE)]
    whole = [text for text in texts if "[model]" in text and "[train]" in text]
    return whole[0] if whole else "\n".join(texts)


@pytest.mark.parametrize("name", PAGES)
def test_equals_the_page(name, tmp_path):
    page = SEEDS / f"{PAGES[name]}.html"
    if not page.exists():
        pytest.skip("the published pages are not beside this checkout")
    path = tmp_path / "train_eval_infer.config"
    path.write_text(published(page), encoding="utf-8")
    config = import_config(path)
    assert config.count("unreadable") == 0
    experiment, imported = load_experiment(SOURCE / f"{name}.yaml"), load_file(path)
    ours, theirs = experiment.flatten(), imported.flatten()
    differing = {key for key in ours if ours[key] != theirs[key]} - {"dataset.description"}
    assert differing <= SAID_IN_WORDS.get(name, set()) | LIES_ELSEWHERE.get(name, set())


@pytest.mark.parametrize(
    ("name", "keys", "told"),
    [
        ("Tiled-Cell", {"input_normalize", "gaussian_filter_rsigma", "gaussian_filter_sigma",
                        "centers"}, True),
        ("Tiled-Cervical-Cancer", {"input_normalize", "gaussian_filter_rsigma",
                                   "gaussian_filter_sigma", "image_datapath", "mask_datapath"},
         False),
        ("MultipleMyeloma", {"blur"}, True),
        ("Tiled-MultipleMyeloma", {"resize_interpolation"}, True),
        ("Malignant-BreastDM", set(), True),
    ],
)  # fmt: skip
def test_what_a_page_means_otherwise_is_said(name, keys, told, tmp_path):
    """Keys that had an effect there and have none here, and blending where no key says it."""
    page = SEEDS / f"{PAGES[name]}.html"
    if not page.exists():
        pytest.skip("the published pages are not beside this checkout")
    path = tmp_path / "train_eval_infer.config"
    path.write_text(published(page), encoding="utf-8")
    notes = import_config(path).notes
    assert {n.entry.key for n in notes if n.kind == "unavailable"} == keys
    assert [n for n in notes if n.kind == "unavailable" and not n.entry] == []
    different = [n.words for n in notes if n.kind == "different"]
    assert ["bitwise_blending" in words for words in different] == [True] * told


def test_the_folders_of_a_page_are_those_of_the_import(tmp_path):
    page = SEEDS / f"{PAGES['Tiled-Cervical-Cancer']}.html"
    if not page.exists():
        pytest.skip("the published pages are not beside this checkout")
    path = tmp_path / "train_eval_infer.config"
    path.write_text(published(page), encoding="utf-8")
    dataset = load_file(path).dataset
    assert (dataset.images, dataset.masks) == (
        "Metaplastic/{split}/images",
        "Metaplastic/{split}/masks",
    )


def test_every_key_of_the_table_is_known(tmp_path):
    """The table beside the pages, as one file: no key is unheard of."""
    table = SEEDS / "README.md"
    if not table.exists():
        pytest.skip("the published pages are not beside this checkout")
    rows = re.findall(
        r"^\| ([\w, ]+) \| ([^|]+) \|$", table.read_text(encoding="utf-8"), re.MULTILINE
    )
    lines = []
    for sections, cell in rows:
        plain = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", cell))
        keys = [key for key in re.split(r"[,;] *", plain.strip()) if re.fullmatch(r"\w+", key)]
        if sections not in {"section", "losses", "metrics", "experiment"}:
            lines += [f"[{sections.split(',')[0]}]", *(f"{key} = 1" for key in keys)]
    path = tmp_path / "all.config"
    path.write_text("\n".join(lines))
    config = import_config(path)
    unheard = {note.entry.key for note in config.notes if "no such key" in note.words}
    assert len(lines) > 120
    assert unheard == set()


def test_all_are_there_and_named_after_their_datasets():
    assert available_experiments(SOURCE) == sorted(PAGES)
    for name in PAGES:
        experiment = load_experiment(SOURCE / f"{name}.yaml")
        assert experiment.dataset.name == name
        assert experiment.model.base_filters == 16
        header = (SOURCE / f"{name}.yaml").read_text()
        assert header.startswith("# Equal to the published configuration of T")


def test_the_network_of_tiled_cell_is_the_published_one():
    model = load_experiment(SOURCE / "Tiled-Cell.yaml").model
    assert (model.base_filters, model.base_kernels, model.num_layers) == (16, 7, 8)
    assert model.normalization == "none"


def test_the_list_of_experiments_stays_that_of_the_house(monkeypatch):
    monkeypatch.chdir(PROJECT)
    shown = CliRunner().invoke(app, ["datasets"]).output
    assert "Malignant-BreastDM" not in shown or "Malignant-BreastDM" in available_experiments(
        PROJECT / "experiments"
    )
