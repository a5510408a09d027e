import io
import stat
import zipfile
from pathlib import Path

import pytest
from watched_disk import watch_disk

from tiledseg.data.published.archive import unpack
from tiledseg.errors import DatasetError, OutputError
from tiledseg.images.place_lock import hold


def packed(path: Path, members: dict[str, bytes], **attributes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = attributes.get("mode", 0) << 16
            archive.writestr(member, content)
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_files_come_out_and_noise_does_not(tmp_path):
    archive = packed(
        tmp_path / "a.zip",
        {"x/1.bmp": b"one", "x/.DS_Store": b"?", "__MACOSX/x/1.bmp": b"?", "y/": b""},
    )
    unpack(archive, tmp_path / "out")
    assert files_in(tmp_path / "out") == {"x/1.bmp": b"one"}


def test_archives_inside_come_out_beside(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("train/x/1.bmp", b"one")
    unpack(packed(tmp_path / "a.zip", {"train.zip": inner.getvalue()}), tmp_path / "out")
    assert files_in(tmp_path / "out")["train/train/x/1.bmp"] == b"one"


def test_again_writes_what_is_missing_and_nothing_else(tmp_path):
    archive = packed(tmp_path / "a.zip", {"1": b"one", "2": b"two"})
    out = unpack(archive, tmp_path / "out")
    (out / "1").unlink()
    before = (out / "2").stat().st_mtime_ns
    unpack(archive, out)
    assert files_in(out) == {"1": b"one", "2": b"two"}
    assert (out / "2").stat().st_mtime_ns == before


def test_a_file_of_somebody_s_own_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1").write_bytes(b"mine")
    with pytest.raises(DatasetError, match="nothing is overwritten"):
        unpack(packed(tmp_path / "a.zip", {"1": b"from the archive"}), tmp_path / "out")
    assert (tmp_path / "out" / "1").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "name", ["../out.txt", "a/../../out.txt", "/etc/out.txt", "..\\out.txt", "C:\\out.txt", "C:x"]
)
def test_a_name_that_leads_out_is_refused_before_anything_is_written(tmp_path, name):
    archive = packed(tmp_path / "a.zip", {"1": b"", name: b"x"})
    with pytest.raises(DatasetError, match="leads out of the folder"):
        unpack(archive, tmp_path / "deep" / "out")
    assert files_in(tmp_path).keys() == {"a.zip"}


def test_a_link_is_refused(tmp_path):
    archive = packed(tmp_path / "a.zip", {"link": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(DatasetError, match="leads out of the folder"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("spoil", [lambda data: data[:-40], lambda data: b"text", lambda data: b""])
def test_no_zip(tmp_path, spoil):
    archive = packed(tmp_path / "a.zip", {"1": b"one" * 99})
    archive.write_bytes(spoil(archive.read_bytes()))
    with pytest.raises(DatasetError, match="is a damaged ZIP, or none"):
        unpack(archive, tmp_path / "out")


def test_a_flipped_byte_is_found_and_the_file_is_not_left(tmp_path):
    archive = packed(tmp_path / "a.zip", {"1": bytes(range(256)) * 9})
    data = bytearray(archive.read_bytes())
    data[60] ^= 255
    archive.write_bytes(data)
    with pytest.raises(DatasetError, match="damaged"):
        unpack(archive, tmp_path / "out")
    assert files_in(tmp_path / "out") == {}


def test_files_are_on_the_disk_before_they_have_their_names(tmp_path, monkeypatch):
    disk = watch_disk(monkeypatch)
    names = [f"x/{number}.bmp" for number in range(150)]
    unpack(packed(tmp_path / "a.zip", dict.fromkeys(names, b"one")), tmp_path / "out")
    assert len(disk.named) == 150
    assert disk.unflushed(tmp_path) == []
    assert set(files_in(tmp_path / "out")) == set(names)


def test_what_a_killed_process_left_on_its_way_is_removed(tmp_path):
    drafts = tmp_path / "out" / ".unfinished"
    drafts.mkdir(parents=True)
    (drafts / "0").write_bytes(b"half")
    unpack(packed(tmp_path / "a.zip", {"1": b"one"}), tmp_path / "out")
    assert files_in(tmp_path / "out") == {"1": b"one"}
    assert not drafts.exists()


def test_of_two_files_with_one_name_the_last_counts(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning):
        for content in (b"first", b"the second"):
            archive.writestr("1", content)
    for _ in range(2):
        unpack(tmp_path / "a.zip", tmp_path / "out")
        assert files_in(tmp_path / "out") == {"1": b"the second"}


def test_one_process_at_a_time(tmp_path):
    archive = packed(tmp_path / "a.zip", {"1": b"one"})
    with hold(tmp_path / "out"), pytest.raises(OutputError, match=r"out: .* is writing it"):
        unpack(archive, tmp_path / "out")
    assert files_in(tmp_path).keys() == {"a.zip"}


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    archive = packed(tmp_path / "a.zip", {"1": b"one"})
    with monkeypatch.context() as patch, pytest.raises(OutputError, match="No space left"):
        patch.setattr("tiledseg.data.published.archive.shutil.copyfileobj", full)
        unpack(archive, tmp_path / "out")
    assert files_in(tmp_path / "out") == {}
    unpack(archive, tmp_path / "out")
    assert files_in(tmp_path / "out") == {"1": b"one"}
