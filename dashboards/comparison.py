"""What is compared with what: two sides, the images they share, and their scores."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dashboards import store
from dashboards.masks import holds_labels
from dashboards.viewer import Layer, Pane, Scene
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


def sources(
    dataset: str,
    runs: Sequence[RunSummary],
    versions: Sequence[VersionSummary],
    wanted: Collection[str] = (),
) -> list[Source]:
    """Model versions with predictions, champion first, then other runs.

    Args:
        dataset: Whose.
        runs: All runs of the store.
        versions: All versions of the registry.
        wanted: Short ids of runs that are offered however old they are.
    """
    by_id = {run.run_id: run for run in runs if run.dataset == dataset and _is_predicted(run)}
    own = [item for item in versions if item.model == dataset and item.run_id in by_id]
    own.sort(key=lambda item: ("champion" not in item.aliases, -int(item.version)))
    found = [
        Source(f"v{item.version}", version_label(item), by_id.pop(item.run_id))
        for item in own
        if item.run_id in by_id
    ]
    newest = sorted(by_id.values(), key=lambda run: run.started, reverse=True)
    rest = [run for i, run in enumerate(newest) if i < MOST_RUNS or run.short_id in wanted]
    return found + [Source(run.short_id, f"{run.name} ({run.short_id})", run) for run in rest]


def version_label(item: VersionSummary) -> str:
    """For example ``v3, champion``."""
    aliases = [name.removesuffix("-trained") for name in item.aliases]
    return ", ".join([f"v{item.version}", *aliases])


def sides(found: Sequence[Source]) -> dict[str, Side]:
    """Everything that can be compared, by key."""
    every = [Side(source, mode) for source in found for mode in MODE_NAMES]
    return {side.key: side for side in every}


def classes(left: Side, right: Side) -> list[str]:
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
        column is not there. Images without scores come last.
    """
    stems = sorted(set(_stems(left, split)) & set(_stems(right, split)))
    table = pd.DataFrame({"image": pd.Series(stems, dtype=str)})
    for column, side in (("left", left), ("right", right)):
        if side.mode != "target":
            scores = _dice(side, split, name)
            table[column] = table["image"].map(scores).astype(float)
    if {"left", "right"} <= set(table):
        table["gain"] = table["left"] - table["right"]
    by = "left" if "left" in table else "right" if "right" in table else "image"
    return table.sort_values([by, "image"], na_position="last", ignore_index=True)


def scene(split: str, stem: str, left: Side, right: Side, name: str = "") -> Scene | None:
    """The viewer's panes for one image; None where a file is missing.

    Args:
        split: Of the image.
        stem: The image.
        left: One side.
        right: The other.
        name: The class that is shown; all of them if empty.
    """
    label = classes(left, right).index(name) if name else None
    image = _path(left, split, "image", stem) or _path(right, split, "image", stem)
    target = _path(left, split, "target", stem) or _path(right, split, "target", stem)
    masks = {
        name: _path(side, split, side.mode, stem) for name, side in (("a", left), ("b", right))
    }
    if masks["a"] is None or masks["b"] is None:
        return None
    labels = _labels(left, right)
    notes = {"a": _note(left, split, stem, name), "b": _note(right, split, stem, name)}
    layers = [Layer("image", "Image", image, "image")] if image else []
    panes = [Pane("image", "Image", "image")] if image else []
    if target:
        layers.append(Layer("target", "Target", target, "mask", binary=True, label_shown=label))
        panes.append(Pane("target", "Target", "mask", of="target"))
    against = "target" if target else ""
    several: dict[str, Path] = {}
    for key, side in (("b", right), ("a", left)):
        path = masks[key]
        if path is None or side.mode == "target":
            continue
        if holds_labels(path):
            several[key] = path
        binary = key in several
        layers.append(Layer(key, labels[key], path, "mask", binary=binary, label_shown=label))
        panes.append(Pane(key, labels[key], "mask", key, against, notes[key]))
    if several and target and holds_labels(target):
        several = {"target": target, **several}
    both = {layer.id for layer in layers}
    if {"a", "b"} <= both:
        panes.append(Pane("difference", "Difference", "difference", "a", "b"))
    predicted = [key for key in ("a", "b") if key in both]
    doubted = [key for key in predicted if key not in several]
    panes += [Pane(f"{key}-doubt", "Uncertainty", "uncertainty", key) for key in doubted[:1]]
    shown = [pane.id for pane in panes if pane.id in {"image", "target", "a", "b"}]
    for key, path in several.items():
        title = f"Classes, {labels.get(key, 'target').lower()}"
        layers.append(Layer(f"{key}-classes", title, path, "image"))
        panes.append(Pane(f"{key}-classes", title, "image", f"{key}-classes"))
    if several and label is None:
        shown = [pane.id for pane in panes if pane.id == "image" or pane.id.endswith("-classes")]
    if len(predicted) == 2:
        swiped = ("b", "a")
    elif predicted:
        swiped = ("target", predicted[0])
    else:
        swiped = ("image" if image else "target", "target")
    return Scene(
        picture=f"{split}/{stem}",
        size=store.picture_size(image or masks["a"]),
        layers=layers,
        panes=panes,
        shown=shown,
        swiped=swiped,
        seams=_seams(left if left.mode == "tiled" else right, split, stem),
    )


def scores_text(side: Side, split: str, name: str = "") -> float | None:
    """Mean Dice of a side over a split, of a class or of all; or None."""
    of_class = f"/{name}" if name else ""
    return side.source.run.metrics.get(f"{split}/{side.mode}/dice{of_class}")


def _is_predicted(run: RunSummary) -> bool:
    return any(f"{split}/tiled/dice" in run.metrics for split in SPLITS)


def _labels(left: Side, right: Side) -> dict[str, str]:
    """Names of the two masks, no longer than is needed to tell them apart."""
    names = {"a": left.label, "b": right.label}
    if left.source.key != right.source.key:
        names = {"a": f"{left.label} {left.source.key}", "b": f"{right.label} {right.source.key}"}
    return names


def _stems(side: Side, split: str) -> list[str]:
    return store.predictions_of(side.source.run.run_id, split).stems


def _path(side: Side, split: str, layer: str, stem: str) -> Path | None:
    return store.predictions_of(side.source.run.run_id, split).path(layer, stem)


def _dice(side: Side, split: str, name: str) -> dict[str, float]:
    table = store.scores_of(side.source.run.run_id)
    rows = table[(table["split"] == split) & (table["mode"] == side.mode)]
    return dict(zip(rows["image"], rows[f"dice/{name}" if name else "dice"], strict=True))


def _note(side: Side, split: str, stem: str, name: str) -> str:
    value = _dice(side, split, name).get(stem)
    return "" if value is None else f"Dice {value:.3f}"


def _seams(side: Side, split: str, stem: str) -> dict[str, list[int]] | None:
    return store.seams_of(side.source.run.run_id, split, stem) if side.mode == "tiled" else None
