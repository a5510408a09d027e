"""The manifest of a prepared dataset, sound and damaged."""

import pytest

from tiledseg.data.prepare.manifest import is_row, read_manifest
from tiledseg.errors import OutputError

ROW = {
    "split": "train", "stem": "NA", "source": "007", "kind": "tile", "copy": 0, "top": 0, "left": 8,
    "height": 8, "width": 8, "zoom": 1.5, "foreground": 3, "objects": 1, "image_digest": "0",
    "mask_digest": "1",
}  # fmt: skip
HEAD = ",".join(ROW)


def test_texts_are_read_as_texts(tmp_path):
    (tmp_path / "manifest.csv").write_text(f"{HEAD}\n{','.join(map(str, ROW.values()))}\n")
    assert read_manifest(tmp_path).to_dict("records") == [ROW]


@pytest.mark.parametrize(
    "text", ["", "\0", "split,stem\na,b\n", f"{HEAD}\na,b\n", f'{HEAD}\n"a',
             f"{HEAD}\n{','.join(['9' * 40] * 14)}\n"],
)  # fmt: skip
def test_a_damaged_manifest_is_told_in_one_line(tmp_path, text):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(OutputError, match=r"manifest.csv: cannot be read \(.*; prepare") as told:
        read_manifest(tmp_path)
    assert "\n" not in str(told.value)


def test_rows_of_a_journal():
    assert is_row(ROW)
    for key, value in {"stem": 1, "top": "0", "zoom": float("nan"), "objects": 10**40}.items():
        assert not is_row({**ROW, key: value})
    assert not is_row({key: ROW[key] for key in ROW if key != "width"})
    assert not is_row([])
