"""Unpacking ZIP archives of others, who may mean harm: nothing is written outside the folder."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath

from tiledseg.errors import DatasetError
from tiledseg.images.atomic import cannot_write, give_names
from tiledseg.images.place_lock import hold

_DEPTH = 2
"""Archives inside archives, which some datasets are published as."""
_AT_ONCE = 64
"""Files that get their names together: flushing one takes nearly as long."""
_DRAFTS = ".unfinished"
_NOISE = ("__MACOSX/", ".DS_Store")


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive and those inside it; files that are there already, whole, stay.

    Args:
        archive: A ZIP file.
        folder: Where its content goes; made if missing. An archive in it, ``train.zip``, goes
            into a folder beside it, ``train``.

    Returns:
        The folder.

    Raises:
        DatasetError: It is no ZIP, damaged, encrypted, or holds a name that leads out of the
            folder; nothing is written then.
        OutputError: The folder cannot be written, or another process writes it.
    """
    _unpack(archive, folder, _DEPTH)
    return folder


def _unpack(archive: Path, folder: Path, depth: int) -> None:
    try:
        with zipfile.ZipFile(archive) as packed:
            # Of two with one name, the last counts, as for other programs.
            members = dict(_safe_members(packed, archive, folder))
            is_whole = all(_is_unpacked(*each) for each in members.items())
            if not is_whole or (folder / _DRAFTS).exists():
                with hold(folder):
                    _unpack_missing(packed, members, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DatasetError(
            f"{archive}: is a damaged ZIP, or none ({error}); fetch it again, or unpack it "
            "yourself and give the folder"
        ) from None
    except (RuntimeError, NotImplementedError) as error:
        raise DatasetError(
            f"{archive}: cannot be unpacked ({error}); unpack it yourself and give the folder"
        ) from None
    for target in members:
        if depth > 1 and target.suffix.lower() == ".zip":
            _unpack(target, target.with_suffix(""), depth - 1)


def _unpack_missing(
    packed: zipfile.ZipFile, members: Mapping[Path, zipfile.ZipInfo], folder: Path
) -> None:
    """Unpack what is missing as drafts, and give those their names, many at once."""
    missing = [each for each in members.items() if not _is_unpacked(*each)]
    drafts = folder / _DRAFTS
    try:
        shutil.rmtree(drafts, ignore_errors=True)  # of a process that was killed
        drafts.mkdir(parents=True)
        for first in range(0, len(missing), _AT_ONCE):
            moves = []
            for number, (target, member) in enumerate(missing[first : first + _AT_ONCE]):
                moves.append((drafts / str(number), target))
                with packed.open(member) as source, moves[-1][0].open("xb") as file:
                    shutil.copyfileobj(source, file, 2**20)
            give_names(moves)
    except OSError as error:
        raise cannot_write(folder, error) from None
    finally:
        shutil.rmtree(drafts, ignore_errors=True)


def _is_unpacked(target: Path, member: zipfile.ZipInfo) -> bool:
    """True where the file is there; files appear whole, so one of another size is not ours."""
    if not target.exists():
        return False
    if target.is_file() and target.stat().st_size == member.file_size:
        return True
    raise DatasetError(
        f"{target} is there already and is not what the archive holds; nothing is overwritten: "
        "move it away, or unpack the archive elsewhere and give that folder"
    )


def _safe_members(
    packed: zipfile.ZipFile, archive: Path, folder: Path
) -> Iterator[tuple[Path, zipfile.ZipInfo]]:
    """Where the files of an archive go; refused as a whole where one leads elsewhere."""
    for member in packed.infolist():
        name = member.filename.replace("\\", "/")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        led_out = name.startswith("/") or ".." in parts or PureWindowsPath(name).drive
        if led_out or stat.S_ISLNK(member.external_attr >> 16):
            raise DatasetError(
                f"{archive}: holds {member.filename!r}, which leads out of the folder that it is "
                "unpacked into; do not use this archive"
            )
        noise = name.startswith(_NOISE[0]) or parts[-1:] == [_NOISE[1]]
        if parts and not member.is_dir() and not noise:
            yield folder.joinpath(*parts), member
