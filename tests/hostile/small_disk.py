"""Runs a command where a folder lies on a full disk, or cannot be written.

unshare --map-root-user --mount python small_disk.py full|read-only FOLDER COMMAND [ARG ...]
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def fill(folder: Path) -> None:
    """Put a small disk in place of a folder, with what is in it, and leave no room."""
    kept = folder.with_name(f"{folder.name}-kept")
    shutil.copytree(folder, kept)
    size = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    blocks = 64 + 2 * size // 1024
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={blocks}k", "none", str(folder)], check=True
    )
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    with (folder / "filling").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            pass


def lock(folder: Path) -> None:
    """Have nothing written in a folder."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)


if __name__ == "__main__":
    {"full": fill, "read-only": lock}[sys.argv[1]](Path(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])
