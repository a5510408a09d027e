"""Hashes follow what files hold, not their names."""

import os
from pathlib import Path

import pytest

from tiledseg.errors import ImageError
from tiledseg.images.hashing import hash_content


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (hash_content(tmp_path / name) for name in "abc")
    assert a == b != c
    assert len(a) == 32


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"same")
    before = hash_content(path)
    path.write_bytes(b"Same")
    os.utime(path, ns=(0, 1))
    assert hash_content(path) != before


def test_a_file_that_was_replaced_by_one_as_old_and_as_large_is_read_again(tmp_path: Path) -> None:
    """As a copy that keeps times does, and a disk whose clock has whole seconds."""
    path = tmp_path / "a"
    path.write_bytes(b"same")
    os.utime(path, ns=(0, 0))
    before, state = hash_content(path), path.stat()
    path.write_bytes(b"Same")
    os.utime(path, ns=(0, 0))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    assert hash_content(path) != before


def test_a_folder_is_known_by_the_names_in_it_too(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    before = hash_content(tmp_path)
    (tmp_path / "a").rename(tmp_path / "d")
    assert hash_content(tmp_path) != before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no\.png: cannot be read"):
        hash_content(tmp_path / "no.png")
