"""A disk of a few megabytes, in a mount namespace of its own: no right of the system is needed.

Commands are forked into the namespace. What they write there is seen from here under ``seen``.
"""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000
"""``CLONE_NEWNS`` and ``CLONE_NEWUSER`` of ``sched.h``."""
_BALLAST = ".ballast"


class SmallDisk:
    """A file system in memory at a folder, for those who enter its namespaces.

    Args:
        place: The folder; what lies in it is copied.
        megabytes: Its size.
    """

    def __init__(self, place: Path, megabytes: float = 32.0) -> None:
        self.place = place
        place.mkdir(parents=True, exist_ok=True)
        size = f"size={int(megabytes * 1024)}k"
        script = (
            'set -e; held=$(mktemp -d -p /var/tmp); cp -a "$1/." "$held"; '
            'mount -t tmpfs -o "$2" tmpfs "$1"; '
            'cp -a "$held/." "$1"; rm -r "$held"; echo ready; read _'
        )
        self._holder = subprocess.Popen(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", place, size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        ready = self._holder.stdout.readline()
        assert ready == "ready\n", "no mount namespaces (unshare) on this machine"

    @property
    def seen(self) -> Path:
        """The folder as those see it who have entered; not to be resolved."""
        return Path(f"/proc/{self._holder.pid}/root{self.place}")

    def fill(self, left: int = 0) -> None:
        """Leave so many bytes free, rounded down to whole blocks."""
        self.clear()
        free = shutil.disk_usage(self.seen).free
        with (self.seen / _BALLAST).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free - left))

    def clear(self) -> None:
        """Make room again."""
        (self.seen / _BALLAST).unlink(missing_ok=True)

    def lock(self, *, read_only: bool) -> None:
        """Let nobody write, or everybody again."""
        how = "ro" if read_only else "rw"
        enter = ["nsenter", "--preserve-credentials", "--user", "--mount", "-t"]
        command = [*enter, str(self._holder.pid), "mount", "-o", f"remount,{how}", self.place]
        subprocess.run(command, check=True)

    @property
    def holder(self) -> int:
        """The process whose namespaces a command enters, see ``enter_namespaces``."""
        return self._holder.pid

    def remove(self) -> None:
        """Give the memory back."""
        self._holder.kill()
        self._holder.communicate()


def enter_namespaces(process: int) -> None:
    """Have this process, which has one thread, see the disks of another."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = Path.cwd()
    for name, kind in (("user", _NEW_USER), ("mnt", _NEW_MOUNTS)):
        with Path(f"/proc/{process}/ns/{name}").open("rb") as file:
            if libc.setns(file.fileno(), kind) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), f"namespace {name}")
    os.chdir(here)  # else it is that of the outer disks
