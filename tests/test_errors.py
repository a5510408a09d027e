"""What is behind an error that another library has wrapped."""

import errno
import os
import sys

import pytest

from tiledseg import __main__ as entry
from tiledseg.errors import is_disk_fault, is_disk_full


def wrapped(inner: Exception, outer: Exception, *, says_so: bool) -> Exception:
    """An error that was raised from another, or while another was handled."""
    outer.__cause__, outer.__context__ = (inner if says_so else None), inner
    return outer


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_found_however_deep_it_lies(number):
    full = OSError(number, os.strerror(number))
    assert is_disk_full(full)
    assert is_disk_full(wrapped(full, RuntimeError("failed"), says_so=True))
    assert is_disk_full(wrapped(full, RuntimeError("failed"), says_so=False))
    assert is_disk_full(RuntimeError(f"copy failed: [Errno {number}] {os.strerror(number)}: x"))
    assert not is_disk_full(OSError(errno.ENOENT, "No such file or directory"))
    assert not is_disk_full(None)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(errno.ENOSPC, True), (errno.EROFS, True), (errno.EACCES, True), (errno.EPIPE, False)],
)
def test_what_nobody_has_foreseen_of_a_disk_is_one_line(monkeypatch, capsys, number, shown):
    def fail(**_):
        raise OSError(number, os.strerror(number), "/place/file")

    monkeypatch.setattr("tiledseg.cli.app", fail)
    monkeypatch.setattr(entry, "_quiet_libraries", lambda: None)
    monkeypatch.setattr(sys, "argv", ["tiledseg"])
    with pytest.raises(SystemExit if shown else OSError):
        entry.main()
    said = capsys.readouterr().err
    assert is_disk_fault(OSError(number, "")) == shown
    assert ("/place/file" in said) == shown
    assert said.count("\n") == (1 if shown else 0)
