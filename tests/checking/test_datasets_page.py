"""docs/datasets.md names every kind of finding and every setting of the intake."""

import re
from pathlib import Path

from tiledseg.config import DatasetSettings

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "datasets.md").read_text()


def test_every_kind_of_finding_is_explained():
    source = "".join(path.read_text() for path in (PROJECT / "tiledseg" / "checking").glob("*.py"))
    kinds = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source))
    assert len(kinds) > 30
    assert {kind for kind in kinds if f"`{kind}`" not in PAGE} == set()


def test_every_setting_of_files_and_masks_is_explained():
    keys = [key for key in DatasetSettings.model_fields if re.match("images?|masks?", key)]
    assert {key for key in keys if f"`{key}`" not in PAGE} == set()
