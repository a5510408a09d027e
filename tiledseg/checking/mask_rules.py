"""Rules for masks: values that the threshold misreads, empty and full masks, copies."""

from collections.abc import Iterator, Sequence
from statistics import median

from tiledseg.checking.facts import ImageFacts
from tiledseg.checking.finding import Finding, Severity
from tiledseg.data.split import SPLITS

_RINGING = 32
"""JPEG may leave values up to this in an empty mask."""
_LOST, _NOTICEABLE = 0.25, 0.01
"""Objects below the threshold, over those above it: much of the target is lost; some is."""
_SOFT = 0.6
"""Gray pixels over foreground ones; JPEG's ringing around small objects reaches 0.2."""
_SMALL, _VOID = 32, 255
"""Largest number that is taken for that of a class or object; the usual one of void."""
_INVERTED, _FULL = 0.5, 0.98


def mask_findings(
    images: Sequence[ImageFacts], foreground_threshold: int | None
) -> Iterator[Finding]:
    """Judge masks by their values.

    Args:
        images: What was measured.
        foreground_threshold: Foreground is brighter than this; None where masks hold several
            classes, which may cover an image.
    """
    threshold = 0 if foreground_threshold is None else foreground_threshold
    usual = median([facts.mask.foreground for facts in images]) if images else 0.0
    for facts in images:
        void = _void(facts, foreground_threshold)
        yield from void or _of_values(facts, threshold)
        yield from _of_pages(facts)
        yield from _of_alpha(facts)
        if foreground_threshold is not None:
            yield from _of_coverage(facts, usual)
    if foreground_threshold is not None and usual > _INVERTED:
        place = images[0].masks[0].parent
        yield Finding(
            "warning",
            "masks-inverted",
            place,
            f"half of all masks are more than {usual:.0%} foreground",
            "if objects are black on white in them, invert the masks",
        )
    yield from _without_foreground(images, threshold)
    yield from _copies(images)


def _void(facts: ImageFacts, foreground_threshold: int | None) -> list[Finding]:
    """255 beside small numbers: the rim or hole of objects whose number is lost."""
    values = facts.mask.values
    others = [value for value in values if value > 0]
    small = [value for value in others if value <= _SMALL]
    if foreground_threshold is None or not small or set(others) - set(small) != {_VOID}:
        return []
    shares = ", ".join(
        f"{value} ({count / sum(values.values()):.1%})" for value, count in sorted(values.items())
    )
    return [
        Finding(
            "error",
            "mask-void",
            facts.masks[0],
            f"holds the values {shares}: beside small numbers 255 is void as a rule, but it is "
            "read as foreground",
            "use dataset.mask_form labels with dataset.classes and dataset.ignore_label 255 "
            "(tiledseg check --suggest writes the section)",
        )
    ]


def _of_pages(facts: ImageFacts) -> Iterator[Finding]:
    if facts.mask.pages > 1:
        yield Finding(
            "note",
            "mask-pages",
            facts.masks[0],
            f"has {facts.mask.pages} pages, which are united: what any of them marks is foreground",
            "nothing, if each page holds an object; else save the page that is meant alone",
        )


def _of_alpha(facts: ImageFacts) -> Iterator[Finding]:
    if facts.mask.alpha:
        yield Finding(
            "warning",
            "mask-alpha",
            facts.masks[0],
            "has an alpha channel, which is not read: objects that only alpha tells are lost",
            "save the mask without alpha; where alpha is the mask, save that channel as gray",
        )


def _of_values(facts: ImageFacts, threshold: int) -> Iterator[Finding]:
    mask, place = facts.mask, facts.masks[0]
    largest = max(mask.values, default=0)
    if mask.foreground == 0 and mask.brightest == 0 and largest > 0:
        yield Finding(
            "error",
            "mask-too-dark",
            place,
            f"its values end at {largest}, which is black on the 8-bit scale: nothing of it is "
            "foreground",
            "use dataset.mask_form nonzero, or labels with dataset.classes",
        )
    elif mask.foreground == 0:
        if mask.brightest > (_RINGING if mask.kind == "jpeg" else 0):
            yield Finding(
                "error",
                "mask-too-dark",
                place,
                f"its brightest value is {mask.brightest}, and only what is above {threshold} "
                "is foreground",
                f"set dataset.mask_threshold to {mask.brightest // 2}, or write masks of 0 and 255",
            )
        else:
            yield Finding(
                "note",
                "mask-empty",
                place,
                "marks nothing",
                "nothing, if the image shows no object; else mark it, or remove the pair",
            )
        return
    if mask.dim > _NOTICEABLE:
        severity: Severity = "error" if mask.dim > _LOST else "warning"
        yield Finding(
            severity,
            "mask-classes-lost",
            place,
            f"holds values up to {threshold} away from all edges, {mask.dim:.0%} as many pixels "
            "as the foreground: they count as background",
            "set dataset.mask_threshold below them, or write masks of 0 and 255",
        )
    elif mask.uneven > _NOTICEABLE:
        yield Finding(
            "warning",
            "mask-several-values",
            place,
            f"{mask.uneven:.0%} of its foreground has another value than the rest: several "
            "classes or instances become one, or the mask is gray",
            "nothing, if all of them are foreground; else write masks of 0 and 255",
        )
    elif mask.between > _SOFT:
        yield Finding(
            "warning",
            "mask-gray",
            place,
            f"has {mask.between:.0%} as many gray pixels as foreground: soft or resized edges",
            "write masks of 0 and 255 (resize with nearest neighbor)",
        )


def _of_coverage(facts: ImageFacts, usual: float) -> Iterator[Finding]:
    covered, place = facts.mask.foreground, facts.masks[0]
    if covered > _FULL:
        yield Finding(
            "warning",
            "mask-full",
            place,
            f"is {covered:.1%} foreground",
            "check that it is not blank; else mark the objects, or remove the pair",
        )
    elif covered > _INVERTED and usual < _INVERTED / 2:
        yield Finding(
            "warning",
            "mask-inverted",
            place,
            f"is {covered:.0%} foreground, where others are {usual:.1%}",
            "if objects are black on white in it, invert it",
        )
    if facts.mask.specks:
        yield Finding(
            "note",
            "mask-specks",
            place,
            f"holds {facts.mask.specks} object(s) of fewer than 9 pixels",
            "remove them if they are slips; JPEG leaves such islands, PNG does not",
        )


def _without_foreground(images: Sequence[ImageFacts], threshold: int) -> Iterator[Finding]:
    for split in SPLITS:
        masks = [facts for facts in images if facts.split == split]
        empty = sum(facts.mask.foreground == 0 for facts in masks)
        if not masks or not empty:
            continue
        place = masks[0].masks[0].parent
        if empty == len(masks):
            yield Finding(
                "error" if split == "train" else "warning",
                "split-without-foreground",
                place,
                f"no mask of {split} has a pixel above {threshold}",
                "add masks with marked objects, or mend dataset.mask_threshold",
            )
        elif 2 * empty > len(masks):
            yield Finding(
                "warning",
                "split-mostly-empty",
                place,
                f"{empty} of {len(masks)} masks of {split} mark nothing",
                "thin out images without objects, or mend dataset.mask_threshold",
            )


def _copies(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    first_with: dict[str, ImageFacts] = {}
    for facts in images:
        if facts.mask_digest == facts.digest:
            yield Finding(
                "error",
                "mask-is-image",
                facts.masks[0],
                "is a copy of its image",
                "put the mask in its place",
            )
            continue
        earlier = first_with.setdefault(facts.mask_digest, facts)
        marks = 0 < facts.mask.foreground < 1
        if earlier is not facts and marks and earlier.digest != facts.digest:
            yield Finding(
                "warning",
                "mask-twice",
                facts.masks[0],
                f"is the same file as {earlier.masks[0].name}, beside another image",
                "check which image it belongs to",
                (earlier.masks[0],),
            )
