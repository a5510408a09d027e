"""Files that users name: nothing waits for ever, and nothing is read without end."""

import os
import socket
from pathlib import Path

import pytest

from tiledseg.config.regular_files import (
    open_regular,
    parse_json,
    read_bytes,
    read_json,
    read_text,
    require_regular,
)

pytestmark = pytest.mark.timeout(20)


def test_a_file_is_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"size": 1}', encoding="utf-8")
    with open_regular(path) as file:
        assert file.read() == b'{"size": 1}'
    require_regular(path)
    assert read_text(path) == '{"size": 1}'
    assert read_json(path) == {"size": 1}


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for read in (open_regular, read_text, require_regular):
        with pytest.raises(OSError, match="it is a pipe, not a file"):
            read(tmp_path / "a.png")


def test_a_socket_a_device_and_a_folder_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an address is short
    with socket.socket(socket.AF_UNIX) as place:
        place.bind("a.png")
        with pytest.raises(OSError, match="it is a socket"):
            open_regular(Path("a.png"))
    with pytest.raises(OSError, match="it is a device"):
        open_regular(Path("/dev/zero"))
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "no")


def test_what_is_too_long_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match=r"it has 1099511.6 MB, and at most 0.001 are read"):
        read_bytes(path, 1000)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "9" * 5000])
def test_what_is_no_json(text):
    with pytest.raises(ValueError, match=r"deeply|Expecting|digits"):
        parse_json(text)
