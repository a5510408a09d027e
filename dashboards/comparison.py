"""A comparison: its two sides, the images they share, and their scores."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from dashboards import store
from tiledseg.tracking.names import final_metric, is_scored
from tiledseg.tracking.queries import RunSummary, VersionSummary

MODE_NAMES = {"tiled": "Tiled", "resized": "Non-tiled (resized)", "target": "Target"}
SPLITS = ("test", "valid")
MOST_RUNS = 200
"""Runs that are offered beside the registered versions."""


@dataclass(frozen=True)
class Source:
    """A run whose predictions can be shown, by the name people know it under."""

    key: str
    """Short and lasting, for links: v3, or the start of a run's id."""
    label: str
    run: RunSummary


@dataclass(frozen=True)
class Side:
    """One half of a comparison: a source and how it was segmented."""

    source: Source
    mode: str

    @property
    def key(self) -> str:
        """Short and lasting, for links: ``v3.tiled``."""
        return f"{self.source.key}.{self.mode}"

    @property
    def label(self) -> str:
        """Name of the pane."""
        return MODE_NAMES[self.mode]

    @property
    def title(self) -> str:
        """Name among the sides of several sources."""
        return f"{self.label} · {self.source.label}"


def list_sources(
    dataset: str,
    runs: Sequence[RunSummary],
    versions: Sequence[VersionSummary],
    wanted: Collection[str] = (),
) -> list[Source]:
    """Model versions with predictions, champion first, then other runs.

    A checkpoint that was promoted has none: those of its run are another epoch's.

    Args:
        dataset: Whose.
        runs: All runs of the store.
        versions: All versions of the registry.
        wanted: Short ids of runs that are offered however old they are.
    """
    by_id = {run.run_id: run for run in runs if run.dataset == dataset and _has_predictions(run)}
    own = [
        item
        for item in versions
        if item.model == dataset and item.run_id in by_id and item.is_scored_by(by_id[item.run_id])
    ]
    own.sort(key=lambda item: ("champion" not in item.aliases, -int(item.version)))
    found = [
        Source(f"v{item.version}", name_version(item), by_id.pop(item.run_id))
        for item in own
        if item.run_id in by_id
    ]
    newest = sorted(by_id.values(), key=lambda run: run.started, reverse=True)
    rest = [run for i, run in enumerate(newest) if i < MOST_RUNS or run.short_id in wanted]
    return found + [Source(run.short_id, f"{run.name} ({run.short_id})", run) for run in rest]


def list_unscored(
    dataset: str, runs: Sequence[RunSummary], versions: Sequence[VersionSummary]
) -> list[VersionSummary]:
    """Versions that cannot be compared: checkpoints that were promoted, the newest first."""
    by_id = {run.run_id: run for run in runs}
    own = (item for item in versions if item.model == dataset and item.run_id in by_id)
    return [item for item in own if not item.is_scored_by(by_id[item.run_id])]


def name_version(item: VersionSummary) -> str:
    """For example ``v3, champion``."""
    aliases = [name.removesuffix("-trained") for name in item.aliases]
    return ", ".join([f"v{item.version}", *aliases])


def list_sides(found: Sequence[Source]) -> dict[str, Side]:
    """Everything that can be compared, by key."""
    every = [Side(source, mode) for source in found for mode in MODE_NAMES]
    return {side.key: side for side in every}


def list_shared_classes(left: Side, right: Side) -> list[str]:
    """Names of the labels of both sides from 0; empty where they differ, or there is one class."""
    names = store.classes_of(left.source.run.run_id)
    return names if names == store.classes_of(right.source.run.run_id) else []


def join_scores(split: str, left: Side, right: Side, name: str = "") -> pd.DataFrame:
    """One row per image that both sides predicted, the worst of the left side first.

    Args:
        split: Of the images.
        left: One side.
        right: The other.
        name: The class that is scored; the mean over classes if empty.

    Returns:
        Columns ``image``, ``left``, ``right`` and ``gain`` (left minus right), Dice; a target's
        column is not there. Images without scores, or without the class, come last.
    """
    stems = sorted(set(_stems(left, split)) & set(_stems(right, split)))
    table = pd.DataFrame({"image": pd.Series(stems, dtype=str)})
    for column, side in (("left", left), ("right", right)):
        if side.mode != "target":
            scores = dice_of_images(side, split, name)
            table[column] = table["image"].map(scores).astype(float)
    if {"left", "right"} <= set(table):
        table["gain"] = table["left"] - table["right"]
    by = "left" if "left" in table else "right" if "right" in table else "image"
    return table.sort_values([by, "image"], na_position="last", ignore_index=True)


def mean_dice(side: Side, split: str, name: str = "") -> float | None:
    """Mean Dice of a side over a split, of a class or of all; None where there is none."""
    return side.source.run.metrics.get(dice_metric(side, split, name))


def dice_metric(side: Side, split: str, name: str = "") -> str:
    """The metric that ``mean_dice`` reads."""
    return final_metric(split, side.mode, f"dice/{name}" if name else "dice")


def dice_of_images(side: Side, split: str, name: str = "") -> dict[str, float]:
    """Dice of a side's images by stem, of a class or of all; NaN where it is not defined."""
    table = store.scores_of(side.source.run.run_id)
    rows = table[(table["split"] == split) & (table["mode"] == side.mode)]
    return dict(zip(rows["image"], rows[f"dice/{name}" if name else "dice"], strict=True))


def _has_predictions(run: RunSummary) -> bool:
    return any(is_scored(run.metrics, split) for split in SPLITS)


def _stems(side: Side, split: str) -> list[str]:
    return store.predictions_of(side.source.run.run_id, split).stems
