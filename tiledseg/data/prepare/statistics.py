"""What a prepared dataset holds: a table and a picture beside its manifest."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tiledseg.data.split import SPLITS
from tiledseg.images.atomic import atomic_file

TABLE, PICTURE = "statistics.csv", "statistics.png"


def statistics_of(manifest: pd.DataFrame) -> pd.DataFrame:
    """Figures for each split and kind of piece, and for each split as a whole.

    Args:
        manifest: Of ``write_layout``.

    Returns:
        One row per split and kind (``all`` last): files, sources, megapixels, foreground
        (fraction of all pixels), empty (files without foreground), objects (in all files), and
        median_foreground (of a file, as a fraction).
    """
    areas = manifest["height"] * manifest["width"]
    table = manifest.assign(area=areas, fraction=manifest["foreground"] / areas)
    rows = []
    for split in SPLITS:
        part = table[table["split"] == split]
        for kind in [*sorted(part["kind"].unique()), "all"]:
            rows.append(_figures(split, kind, part if kind == "all" else part[part.kind == kind]))
    return pd.DataFrame(rows)


def has_statistics(folder: Path) -> bool:
    """Whether a dataset has both files."""
    return all((folder / name).is_file() for name in (TABLE, PICTURE))


def write_statistics(manifest: pd.DataFrame, folder: Path, drafts: Path) -> None:
    """Write both files, whole or not at all; those of an earlier call stay.

    Args:
        manifest: Of ``write_layout``.
        folder: The dataset.
        drafts: Folder for what is not whole yet.

    Raises:
        OutputError: They cannot be written.
    """
    if not (folder / PICTURE).is_file():
        _draw(manifest, folder / PICTURE, drafts)
    if not (folder / TABLE).is_file():
        with atomic_file(folder / TABLE, drafts=drafts) as file:
            file.write(statistics_of(manifest).to_csv(index=False, float_format="%.6g").encode())


def _figures(split: str, kind: str, part: pd.DataFrame) -> dict[str, Any]:
    area = int(part["area"].sum())
    return {
        "split": split,
        "kind": kind,
        "files": len(part),
        "sources": part["source"].nunique(),
        "megapixels": area / 1e6,
        "foreground": part["foreground"].sum() / area if area else 0.0,
        "empty": int((part["foreground"] == 0).sum()),
        "objects": int(part["objects"].sum()),
        "median_foreground": float(part["fraction"].median()) if len(part) else 0.0,
    }


def _draw(manifest: pd.DataFrame, path: Path, drafts: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow to load
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(11, 3.4))
    FigureCanvasAgg(figure)
    files, fractions, objects = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.05, right=0.98, bottom=0.17)
    counts = manifest.groupby(["split", "kind"]).size().unstack(fill_value=0).reindex(SPLITS)
    below = 0 * counts.iloc[:, 0]
    for kind in counts.columns:
        files.bar(SPLITS, counts[kind], bottom=below, label=kind)
        below = below + counts[kind]
    shares = 100.0 * manifest["foreground"] / (manifest["height"] * manifest["width"])
    for axes, values in ((fractions, shares), (objects, manifest["objects"])):
        edges = np.linspace(0.0, max(1.0, float(values.max())), 21)
        for split in SPLITS:
            axes.stairs(
                np.histogram(values[manifest["split"] == split], edges)[0], edges, label=split
            )
    for axes, title, label in (
        (files, "files", ""),
        (fractions, "foreground", "percent of a file's pixels"),
        (objects, "objects", "in a file"),
    ):
        axes.set_title(title)
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper right")
    with atomic_file(path, drafts=drafts) as file:
        figure.savefig(file, format="png", dpi=110)
