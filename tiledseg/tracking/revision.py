"""The code that runs, as git knows it: its revision, its changes, and a checkout of another one."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tiledseg.data.scratch import open_scratch
from tiledseg.tracking.names import DIRTY_TAG, REVISION_TAG

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the code that runs: tiledseg itself."""
_GIT_SECONDS = 20.0
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
_DIFF = (
    "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--binary",
    "--unified=3", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""Whatever the user's settings are, the same changes give the same text."""


@dataclass(frozen=True)
class Code:
    """The code that runs.

    Attributes:
        revision: Its commit, 40 or 64 hexadecimal digits; empty where it does not lie in a git
            checkout, or git is not there.
        diff: How the package's files differ from the revision, new ones included; empty where
            they do not.
    """

    revision: str = ""
    diff: str = ""

    def tags(self) -> dict[str, str]:
        """As tags of a run; none where nothing is known."""
        if not self.revision:
            return {}
        return {REVISION_TAG: self.revision, DIRTY_TAG: str(bool(self.diff)).lower()}

    def __str__(self) -> str:
        if not self.revision:
            return "code outside of git"
        changed = hashlib.blake2b(self.diff.encode(), digest_size=4).hexdigest()
        return f"revision {self.revision}" + (f" with changes ({changed})" if self.diff else "")


def read_code(package: Path = PACKAGE) -> Code:
    """Ask git about the code that runs; never fails.

    Args:
        package: The folder of the code, at the top of a checkout. Another project's checkout
            that happens to hold an installed package says nothing about it.
    """
    top, name = package.parent, package.name
    try:
        if Path(_ask_git(top, "rev-parse", "--show-toplevel").strip()).resolve() != top:
            return Code()
        revision = _ask_git(top, "rev-parse", "--verify", "HEAD").strip()
        diff = _ask_git(top, *_DIFF, "HEAD", "--", name)
        new = _ask_git(top, "ls-files", "-z", "--others", "--exclude-standard", "--", name)
        for file in filter(None, new.split("\0")):
            diff += _ask_git(top, *_DIFF, "--no-index", "--", "/dev/null", file, expected=(0, 1))
    except (OSError, subprocess.SubprocessError):
        return Code()
    return Code(revision, diff)


@contextmanager
def open_checkout(code: Code, package: Path = PACKAGE) -> Iterator[Path | None]:
    """A temporary git worktree with other code; removed in the end.

    Args:
        code: Its revision, and the changes to apply.
        package: The folder of the code that runs.

    Yields:
        The folder; None where this code lies in no checkout, or its repository does not hold
        the revision.
    """
    top = package.parent
    with open_scratch("checkout") as folder:
        place = folder / "checkout"
        try:
            if not (code.revision and read_code(package).revision):
                yield None
                return
            try:
                _ask_git(top, *_NO_HOOKS, "worktree", "add", "--detach", str(place), code.revision)
                if code.diff:
                    _ask_git(place, "apply", "--whitespace=nowarn", "-", given=code.diff)
            except (OSError, subprocess.SubprocessError):
                yield None
                return
            yield place
        finally:
            if place.exists():
                with suppress(OSError, subprocess.SubprocessError):
                    _ask_git(top, "worktree", "remove", "--force", str(place))


def _ask_git(folder: Path, *words: str, given: str = "", expected: tuple[int, ...] = (0,)) -> str:
    """What git says of a folder, whatever the user's variables point it to."""
    environment = {key: text for key, text in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", *words]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        input=given.encode(),
        capture_output=True,
        timeout=_GIT_SECONDS,
        check=False,
    )
    if done.returncode not in expected:
        raise subprocess.CalledProcessError(done.returncode, command)
    return done.stdout.decode(errors="replace")
