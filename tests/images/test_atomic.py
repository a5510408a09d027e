from pathlib import Path

import pytest

from tiledseg.errors import OutputError
from tiledseg.images.atomic import atomic_file


class TestAtomicFile:
    def test_the_name_appears_only_when_the_file_is_complete(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "a.bin"
        with atomic_file(path) as file:
            file.write(b"half")
            assert not path.exists()
            file.write(b" and half")
        assert path.read_bytes() == b"half and half"
        assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]

    def test_a_failure_leaves_the_old_file_and_no_other(self, tmp_path: Path) -> None:
        path = tmp_path / "a.bin"
        path.write_bytes(b"old")
        with pytest.raises(KeyError), atomic_file(path) as file:
            file.write(b"new")
            raise KeyError
        assert path.read_bytes() == b"old"
        assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]

    def test_a_folder_under_a_file_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        told = pytest.raises(
            OutputError, match=r"file/a.png: cannot be written \(.*choose a folder"
        )
        with told, atomic_file(tmp_path / "file" / "a.png"):
            pass

    def test_a_full_disk_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="No space left"), atomic_file(tmp_path / "a") as file:
            file.write(b"x")
            raise OSError(28, "No space left on device")

    def test_the_longest_name_can_be_written(self, tmp_path: Path) -> None:
        path = tmp_path / ("n" * 251 + ".png")
        with atomic_file(path) as file:
            file.write(b"x")
        assert path.exists()
