"""What lies beside a dataset's folders of images and masks, and is not read.

A folder called ``val`` is the trap: its images are never seen, and nothing else says so.
"""

from pathlib import Path

from tiledseg.config import DatasetSettings
from tiledseg.data.split import SPLITS
from tiledseg.data.unfinished import MANIFEST, SPEC, UNFINISHED
from tiledseg.images.reading import is_image
from tiledseg.images.unused import Unused, explain_unused

_MISNAMED = {
    "val": "valid",
    "validation": "valid",
    "validate": "valid",
    "dev": "valid",
    "training": "train",
    "testing": "test",
}
_RECORDS = frozenset(
    {SPEC, MANIFEST, UNFINISHED, "statistics.csv", "statistics.png", "synthetic.json"}
)
"""What ``prepare`` and synthetic datasets leave."""


def list_beside(folder: Path, settings: DatasetSettings) -> list[Unused]:
    """List what is not read in a dataset's folder and in those of its splits, sorted by name.

    What lies in the folders of images and masks is in ``pairing.Pairing.unused``.

    Args:
        folder: The dataset, which can be listed.
        settings: Where its files lie.
    """
    heads = {pattern.partition("/")[0] for pattern in (settings.images, settings.masks)}
    if "." in heads and not any((folder / split).is_dir() for split in SPLITS):
        heads |= {path.name for path in folder.iterdir() if not path.is_dir()}
    known = {*SPLITS, *heads, settings.split.group_file, *_RECORDS}
    homes = [folder]
    if "{split}" not in settings.images:
        homes += [folder / split for split in SPLITS if (folder / split).is_dir()]
    found = []
    for home in homes:
        if home != folder and "." in heads:  # images lie in it, and it is listed with them
            continue
        names = known if home == folder else heads
        found += [_explain(path) for path in sorted(home.iterdir()) if path.name not in names]
    return found


def misnamed_split(path: Path) -> str:
    """The split that a folder's name may mean; empty for none."""
    name = path.name.casefold()
    meant = _MISNAMED.get(name) or (name if name in SPLITS else "")
    return meant if meant != path.name and path.is_dir() else ""


def _explain(path: Path) -> Unused:
    meant = misnamed_split(path)
    if meant:
        reason = f"a folder whose split is called {meant}"
        return Unused(path, reason, f"rename it to {meant}", is_suspicious=True)
    if is_image(path):
        reason = "an image outside of the folders of images and masks"
        return Unused(path, reason, "move it, if it is meant to be read", is_suspicious=True)
    return explain_unused(path)
