import ast
import errno
import os
from pathlib import Path

import pytest
from watched_disk import watch_disk

import dashboards
import tiledseg
from tiledseg.errors import OutputError
from tiledseg.images import atomic
from tiledseg.images.atomic import atomic_file, flush, flush_folders, give_names


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def disk(monkeypatch):
    return watch_disk(monkeypatch)


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
        with told, atomic_file(tmp_path / "file" / "a.png", replace=False):
            pass

    def test_a_full_disk_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="No space left"), atomic_file(tmp_path / "a") as file:
            file.write(b"x")
            raise OSError(28, "No space left on device")

    def test_a_disk_that_is_found_full_by_the_flush_is_told(self, tmp_path, monkeypatch):
        def full(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        (tmp_path / "a").write_bytes(b"old")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"), atomic_file(tmp_path / "a") as file:
            file.write(b"new")
        assert tree(tmp_path) == {"a": b"old"}

    def test_the_longest_name_can_be_written(self, tmp_path: Path) -> None:
        path = tmp_path / ("n" * 251 + ".png")
        with atomic_file(path) as file:
            file.write(b"x")
        assert path.exists()

    def test_the_bytes_are_on_the_disk_before_the_name_is(self, tmp_path, disk):
        with atomic_file(tmp_path / "a") as file:
            file.write(b"x" * 100_000)
        with atomic_file(tmp_path / "cached", lasting=False) as file:
            file.write(b"x")
        assert disk.named == [(tmp_path / "a", True), (tmp_path / "cached", False)]
        assert tmp_path.stat().st_ino in disk.flushed

    def test_a_draft_may_lie_elsewhere(self, tmp_path):
        (tmp_path / "drafts").mkdir()
        with atomic_file(tmp_path / "a", drafts=tmp_path / "drafts") as file:
            file.write(b"x")
            assert len(list((tmp_path / "drafts").iterdir())) == 1
            assert [path.name for path in tmp_path.iterdir()] == ["drafts"]
        assert tree(tmp_path) == {"a": b"x"}

    @pytest.mark.parametrize("links", [True, False])
    def test_what_is_there_may_be_left(self, tmp_path, monkeypatch, links):
        """Also on a drive where a file has one name."""

        def refuse(*_, **__):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        if not links:
            monkeypatch.setattr(os, "link", refuse)
        for _ in range(2):
            try:
                with atomic_file(tmp_path / "a", replace=False) as file:
                    file.write(b"first")
            except FileExistsError as error:
                assert error.filename == str(tmp_path / "a")
                break
        else:
            raise AssertionError("it was written twice")
        assert tree(tmp_path) == {"a": b"first"}


class TestNames:
    def test_files_and_folders_get_theirs_when_all_is_on_the_disk(self, tmp_path, disk):
        (tmp_path / "d" / "deep").mkdir(parents=True)
        for name in ("1", "d/2", "d/deep/3"):
            (tmp_path / name).write_bytes(name.encode())
        new = tmp_path / "new"
        give_names([(tmp_path / "1", new / "one"), (tmp_path / "d", new / "folder")])
        assert disk.named == [(new / "one", True), (new / "folder", True)]
        assert tree(new) == {"one": b"1", "folder/2": b"d/2", "folder/deep/3": b"d/deep/3"}
        for folder in (new, new / "folder", new / "folder" / "deep"):
            assert folder.stat().st_ino in disk.flushed

    def test_no_name_is_given_where_something_cannot_be_flushed(self, tmp_path, monkeypatch):
        for name in "abc":
            (tmp_path / name).write_text(name)
        monkeypatch.setattr(atomic.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "io")))
        with pytest.raises(OSError, match="io"):
            give_names([(tmp_path / name, tmp_path / "new" / name) for name in "abc"])
        assert not (tmp_path / "new").exists()

    def test_file_systems_without_a_flush_are_borne(self, tmp_path, monkeypatch):
        def unknown(_):
            raise OSError(errno.EINVAL, "Invalid argument")

        (tmp_path / "a").write_text("a")
        monkeypatch.setattr(os, "fsync", unknown)
        flush([tmp_path])
        flush_folders([tmp_path, tmp_path / "absent"])


def test_this_is_the_only_place_that_renames():
    """Else a name may stand for less than a file. ``str.replace`` takes two arguments."""
    found = set()
    for package in (tiledseg, dashboards):
        home = Path(next(iter(package.__path__)))
        for file in sorted(home.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    of_module = ast.unparse(node.func) in {"os.rename", "os.replace", "shutil.move"}
                    one = len(node.args) == 1 and not node.keywords
                    if of_module or (node.func.attr in {"rename", "replace"} and one):
                        found.add(file.relative_to(home.parent).as_posix())
    assert found == {"tiledseg/images/atomic.py"}
