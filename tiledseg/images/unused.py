"""What lies in a folder and is not used, each with its reason: nothing is left out in silence."""

import os
import stat
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_MOST_NAMES = 3
"""Names of a kind that stand in a line."""
_CONVERT = "export it as OME-TIFF, for example with QuPath or bfconvert"
_AS_PNG = "save it as PNG or TIFF"
_KNOWN: dict[str, tuple[str, str]] = {
    **{
        suffix: (f"a microscope's or scanner's {suffix} file", _CONVERT)
        for suffix in (
            ".czi", ".nd2", ".lif", ".vsi", ".mrxs", ".oib", ".oif", ".lsm", ".zvi", ".ims",
            ".ets", ".dv", ".scn", ".svs", ".ndpi", ".bif", ".btf", ".tf8", ".vms", ".qptiff",
        )
    },
    **{
        suffix: (f"a camera's or program's {suffix} file", _AS_PNG)
        for suffix in (
            ".heic", ".heif", ".avif", ".jxl", ".psd", ".xcf", ".svg", ".pdf", ".dng", ".nef",
            ".cr2", ".arw", ".raw", ".tga", ".ppm", ".pgm", ".pbm", ".ico", ".jxr", ".exr",
        )
    },
    **{
        suffix: (f"an array or volume ({suffix})", "save each plane as PNG or TIFF")
        for suffix in (".npy", ".npz", ".mat", ".h5", ".hdf5", ".dcm", ".nii", ".mha", ".nrrd")
    },
    **dict.fromkeys((".zip", ".tar", ".gz", ".7z", ".rar", ".bz2"), ("an archive", "unpack it")),
    ".dvc": ("a pointer of DVC, without the file", "fetch it with dvc pull"),
    ".tmp": ("an unfinished file", "finish or remove it"),
    ".part": ("an unfinished file", "finish or remove it"),
    ".crdownload": ("an unfinished file", "finish or remove it"),
}  # fmt: skip
FOLDER, HIDDEN = "a folder", "hidden"
_ELSEWHERE = "move it elsewhere, or do nothing"


@dataclass(frozen=True)
class Unused:
    """A file or folder that is not used.

    Attributes:
        path: Where it lies.
        reason: What it is.
        remedy: What to do about it.
        is_suspicious: Whether it may be meant as an image; notes and hidden files are not.
    """

    path: Path
    reason: str
    remedy: str
    is_suspicious: bool


def list_unused(
    folder: Path,
    used: Collection[Path],
    *,
    folders_are_used: bool = False,
) -> list[Unused]:
    """List what lies directly in a folder and is not used, sorted by name.

    Args:
        folder: One that can be listed.
        used: Paths in it that are used.
        folders_are_used: Leave folders out.
    """
    taken = set(used)
    left = [path for path in sorted(folder.iterdir()) if path not in taken]
    found = [explain_unused(path) for path in left]
    return [unused for unused in found if not (folders_are_used and unused.reason == FOLDER)]


def describe_unused(found: Sequence[Unused], count: int | None = None) -> str:
    """One line on what is not used: how many of how many, then each reason with names and remedy.

    Args:
        found: At least one.
        count: All that lies there, used or not, where that is of interest.
    """
    groups: dict[tuple[str, str], list[Unused]] = {}
    for unused in sorted(found, key=lambda unused: not unused.is_suspicious):
        groups.setdefault((unused.reason, unused.remedy), []).append(unused)
    parts = [
        f"{len(group)} {reason} ({_names(unused.path for unused in group)}): {remedy}"
        for (reason, remedy), group in groups.items()
    ]
    of_all = f" of {count}" if count is not None else ""
    return f"{len(found)}{of_all} not used; " + "; ".join(parts)


def is_file(path: Path) -> bool:
    """Whether a path is a file, or a link to one, that can be looked at."""
    try:
        return path.is_file()
    except OSError:  # a folder that may be listed, but not entered
        return False


def _names(paths: Iterable[Path]) -> str:
    names = [path.name for path in paths]
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")


def explain_unused(path: Path) -> Unused:
    """What a path is that is not used, and what to do about it."""
    reason, remedy, suspicious = _why(path)
    return Unused(path, reason, remedy, suspicious)


def is_open_folder(path: Path) -> bool:
    """Whether a path is a folder, or a link to one, that can be listed and entered."""
    try:
        return path.is_dir() and os.access(path, os.R_OK | os.X_OK)
    except OSError:
        return False


def _why(path: Path) -> tuple[str, str, bool]:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _of_broken_link(path)
    except OSError as error:
        return f"out of reach ({error.strerror})", "mend its permissions", True
    if path.name.startswith("."):
        return HIDDEN, "nothing", False
    if stat.S_ISDIR(mode):
        closed = "a folder without permission", "mend its permissions", True
        return (FOLDER, _ELSEWHERE, False) if is_open_folder(path) else closed
    return _of_file(path) if stat.S_ISREG(mode) else ("no regular file", _ELSEWHERE, False)


def _of_file(path: Path) -> tuple[str, str, bool]:
    suffix = path.suffix.lower()
    if suffix in _KNOWN:
        return (*_KNOWN[suffix], True)
    return f"no image ({suffix or 'no suffix'})", _ELSEWHERE, False


def _of_broken_link(path: Path) -> tuple[str, str, bool]:
    try:
        target = path.readlink().as_posix()
    except OSError:  # removed since it was listed
        return "gone", "nothing", False
    if ".git/annex/" in target:
        return "a link of git-annex, without the file", "fetch it with git annex get", True
    return "a broken link", "fetch what it points to, or remove it", True
