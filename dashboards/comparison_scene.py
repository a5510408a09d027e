"""The viewer's panes of a comparison: image, target, two masks, and what they differ in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboards import store
from dashboards.comparison import Side, dice_of_images, list_shared_classes
from dashboards.formatting import format_score
from dashboards.masks import holds_labels
from dashboards.pictures import Size
from dashboards.viewer import Layer, Pane, Scene

Entry = tuple[Layer | None, Pane]
"""A pane, and the layer that comes with it."""


@dataclass(frozen=True)
class _Files:
    """The files of an image that two sides are shown with."""

    image: Path | None
    target: Path | None
    left: Path
    right: Path


@dataclass(frozen=True)
class Mask:
    """A prediction, as it is shown beside another one."""

    key: str
    """``a`` for the left side, ``b`` for the right one."""
    label: str
    path: Path
    has_classes: bool
    """Whether its file holds labels, and not probabilities."""
    note: str


def build_scene(split: str, stem: str, left: Side, right: Side, name: str = "") -> Scene | None:
    """The viewer's panes for one image; None where a file is missing.

    Args:
        split: Of the image.
        stem: The image.
        left: One side.
        right: The other.
        name: The class that is shown; all of them if empty.
    """
    files = _find_files(split, stem, left, right)
    if files is None:
        return None
    return compose_scene(
        f"{split}/{stem}",
        store.picture_size(files.image or files.left),
        image=files.image,
        target=files.target,
        masks=_list_masks(files, split, stem, left, right, name),
        seams=_find_seams(split, stem, left, right),
        label=list_shared_classes(left, right).index(name) if name else None,
    )


def compose_scene(
    picture: str,
    size: Size,
    *,
    image: Path | None,
    target: Path | None,
    masks: Sequence[Mask],
    seams: Mapping[str, Sequence[int]] | None,
    label: int | None = None,
) -> Scene:
    """The viewer's panes for an image, its target and at most two predictions.

    Args:
        picture: The name of the image; the place in it is kept while that stays.
        size: Its size.
        image: The image, where it is at hand.
        target: The target, where it is at hand.
        masks: The predictions, from left to right.
        seams: Rows and columns at which the tiles of a prediction met.
        label: The class that is shown; all of them if None.
    """
    maps = _list_class_maps(target, masks)
    entries = [
        *_show_image(image),
        *_show_target(target, label),
        *_show_masks(masks, label, "target" if target else ""),
        *_show_difference(masks),
        *_show_uncertainty(masks),
        *_show_class_maps(maps),
    ]
    panes = [pane for _, pane in entries]
    return Scene(
        picture=picture,
        size=size,
        layers=[layer for layer, _ in entries if layer is not None],
        panes=panes,
        shown=_choose_shown(panes, as_colors=bool(maps) and label is None),
        swiped=_choose_swiped(image, masks),
        seams=seams,
    )


def _find_files(split: str, stem: str, left: Side, right: Side) -> _Files | None:
    """The files of an image; None where a mask is missing."""

    def find(side: Side, layer: str) -> Path | None:
        return store.predictions_of(side.source.run.run_id, split).path(layer, stem)

    left_mask, right_mask = find(left, left.mode), find(right, right.mode)
    if left_mask is None or right_mask is None:
        return None
    return _Files(
        image=find(left, "image") or find(right, "image"),
        target=find(left, "target") or find(right, "target"),
        left=left_mask,
        right=right_mask,
    )


def _list_masks(
    files: _Files, split: str, stem: str, left: Side, right: Side, name: str
) -> list[Mask]:
    """The predictions, as they stand from left to right: the second side before the first."""
    labels = _name_masks(left, right)
    return [
        Mask(key, labels[key], path, holds_labels(path), _note_dice(side, split, stem, name))
        for key, side, path in (("b", right, files.right), ("a", left, files.left))
        if side.mode != "target"
    ]


def _name_masks(left: Side, right: Side) -> dict[str, str]:
    """Names of the two masks, no longer than is needed to tell them apart."""
    if left.source.key == right.source.key:
        return {"a": left.label, "b": right.label}
    return {"a": f"{left.label} {left.source.key}", "b": f"{right.label} {right.source.key}"}


def _note_dice(side: Side, split: str, stem: str, name: str) -> str:
    value = dice_of_images(side, split, name).get(stem)
    return "" if value is None else f"Dice {format_score(value, 3)}"


def _list_class_maps(target: Path | None, masks: Sequence[Mask]) -> list[tuple[str, str, Path]]:
    """Key, name and file of the masks that hold several classes; the target is beside them."""
    maps = [(mask.key, mask.label, mask.path) for mask in masks if mask.has_classes]
    if maps and target and holds_labels(target):
        maps.insert(0, ("target", "target", target))
    return maps


def _show_image(image: Path | None) -> Iterator[Entry]:
    if image:
        yield Layer("image", "Image", image, "image"), Pane("image", "Image", "image")


def _show_target(target: Path | None, label: int | None) -> Iterator[Entry]:
    if target:
        layer = Layer("target", "Target", target, "mask", binary=True, label_shown=label)
        yield layer, Pane("target", "Target", "mask", of="target")


def _show_masks(masks: Sequence[Mask], label: int | None, against: str) -> Iterator[Entry]:
    for mask in masks:
        layer = Layer(
            mask.key, mask.label, mask.path, "mask", binary=mask.has_classes, label_shown=label
        )
        yield layer, Pane(mask.key, mask.label, "mask", mask.key, against, mask.note)


def _show_difference(masks: Sequence[Mask]) -> Iterator[Entry]:
    if len(masks) == 2:
        yield None, Pane("difference", "Difference", "difference", "a", "b")


def _show_uncertainty(masks: Sequence[Mask]) -> Iterator[Entry]:
    """That of one mask, the first side's if it has probabilities."""
    keys = sorted(mask.key for mask in masks if not mask.has_classes)
    if keys:
        yield None, Pane(f"{keys[0]}-uncertainty", "Uncertainty", "uncertainty", keys[0])


def _show_class_maps(maps: Sequence[tuple[str, str, Path]]) -> Iterator[Entry]:
    for key, label, path in maps:
        name, title = f"{key}-classes", f"Classes, {label.lower()}"
        yield Layer(name, title, path, "image"), Pane(name, title, "image", name)


def _choose_shown(panes: Sequence[Pane], *, as_colors: bool) -> list[str]:
    """The panes that are open at first: masks, or all classes in their colors."""
    if as_colors:
        return [pane.id for pane in panes if pane.id == "image" or pane.id.endswith("-classes")]
    return [pane.id for pane in panes if pane.id in {"image", "target", "a", "b"}]


def _choose_swiped(image: Path | None, masks: Sequence[Mask]) -> tuple[str, str]:
    """The two masks; with one of them the target, with none the image."""
    if len(masks) == 2:
        return "b", "a"
    if masks:
        return "target", masks[0].key
    return "image" if image else "target", "target"


def _find_seams(split: str, stem: str, left: Side, right: Side) -> dict[str, list[int]] | None:
    """Where tiles met in the first side that is tiled."""
    for side in (left, right):
        if side.mode == "tiled":
            return store.seams_of(side.source.run.run_id, split, stem)
    return None
