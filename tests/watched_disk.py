"""What a program tells the disk: which files were flushed, and which got names, in order."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class WatchedDisk:
    """Flushes and names since it was made.

    Attributes:
        flushed: Files and folders, by their numbers on the disk, and when they were written last.
        named: Each name that is not hidden, and whether all of it was flushed before.
    """

    flushed: dict[int, int] = field(default_factory=dict)
    named: list[tuple[Path, bool]] = field(default_factory=list)

    def unflushed(self, below: Path) -> list[str]:
        """Names below a folder that were given to what was not on the disk."""
        return [path.name for path, whole in self.named if not whole and path.is_relative_to(below)]

    def note_flush(self, descriptor: int) -> None:
        state = os.fstat(descriptor)
        self.flushed[state.st_ino] = state.st_mtime_ns

    def note_name(self, draft: Path, path: Path) -> None:
        if any(part.startswith(".") for part in path.parts):  # a draft of a draft
            return
        files = [draft] if draft.is_file() else list(draft.rglob("*"))
        states = [each.stat() for each in files if each.is_file()]
        whole = all(self.flushed.get(state.st_ino) == state.st_mtime_ns for state in states)
        self.named.append((path, whole))


def watch_disk(patch: pytest.MonkeyPatch) -> WatchedDisk:
    """Watch all flushes, and all names that ``Path`` and ``os.link`` give."""
    disk = WatchedDisk()
    flush, replace, rename, link = os.fsync, Path.replace, Path.rename, os.link

    def watched_flush(descriptor):
        flush(descriptor)
        disk.note_flush(descriptor)

    def watched(give):
        def name(draft, path):
            disk.note_name(Path(draft), Path(path))
            return give(draft, path)

        return name

    patch.setattr(os, "fsync", watched_flush)
    patch.setattr(Path, "replace", watched(replace))
    patch.setattr(Path, "rename", watched(rename))
    patch.setattr(os, "link", watched(link))
    return disk
