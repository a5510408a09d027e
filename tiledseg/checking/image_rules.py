"""Rules for images: outliers in brightness, channels and bits; images that show nothing."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from tiledseg.checking.facts import ImageFacts
from tiledseg.checking.finding import Finding
from tiledseg.images.bit_depth import bits_remedy, unused_bits_fault

_UNIFORM = 1.0
"""Standard deviation of gray levels under which nothing can be seen."""
_SIGMAS, _LEAST_STEP = 4.0, 30.0
"""An outlier is so many standard deviations, and so many gray levels, from the median."""


def image_findings(images: Sequence[ImageFacts], size: int) -> Iterator[Finding]:
    """Judge images by how they are stored and how bright they are.

    Args:
        images: What was measured.
        size: Side of a training crop, in pixels.
    """
    for facts in images:
        yield from _of_content(facts)
        yield from _of_format(facts)
    yield from _turned(images)
    yield from _smaller_than(images, size)
    yield from _outliers(images)
    yield from _odd_ones_out(
        images, [_colors(facts) for facts in images], "channels-differ", "channels"
    )
    yield from _odd_ones_out(
        images, [f"{facts.header.bits} bits" for facts in images], "bits-differ", "bit depth"
    )


def _of_content(facts: ImageFacts) -> Iterator[Finding]:
    fault = unused_bits_fault(facts.largest, facts.bits)
    is_uniform = facts.contrast < _UNIFORM
    if fault is not None and (facts.bits > 8 or not is_uniform):
        remedy = bits_remedy(facts.largest, facts.bits)
        yield Finding("warning", "image-few-bits", facts.image, fault, remedy)
    elif is_uniform:
        yield Finding(
            "warning",
            "image-uniform",
            facts.image,
            f"shows nothing: all its values are about {facts.brightness:.0f}",
            "export it again, or remove the pair",
        )


def _of_format(facts: ImageFacts) -> Iterator[Finding]:
    if facts.header.alpha:
        yield Finding(
            "warning",
            "image-alpha",
            facts.image,
            "has an alpha channel, which is dropped: what it hides will be seen",
            "save it without alpha, on the background that is meant",
        )
    if facts.header.pages > 1:
        yield Finding(
            "warning",
            "image-pages",
            facts.image,
            f"has {facts.header.pages} pages, of which the largest is read, the first of equals",
            "save the page that is meant as a file of its own",
        )


def _turned(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    turned = [facts for facts in images if facts.header.orientation != 1]
    if turned:
        first = turned[0]
        yield Finding(
            "note",
            "images-turned",
            first.image.parent,
            f"{len(turned)} of {len(images)} images are turned as their orientation tag says, "
            f"as viewers show them ({first.image.name}: {first.header.orientation})",
            "nothing, if masks were drawn on what viewers show; --preview shows both",
        )


def _smaller_than(images: Sequence[ImageFacts], size: int) -> Iterator[Finding]:
    small = [facts for facts in images if min(facts.shape) < size]
    if small:
        least = min(small, key=lambda facts: min(facts.shape))
        yield Finding(
            "note",
            "images-smaller-than-crop",
            least.image.parent,
            f"{len(small)} of {len(images)} images are smaller than a training crop of {size} x "
            f"{size}, and are reflected beyond their border; the smallest, {least.image.name}, is "
            f"{least.shape[1]} x {least.shape[0]} pixels",
            f"set image.size to {min(least.shape)} or less where most images are so small",
        )


def _outliers(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    """Robust: median, and median absolute deviation times 1.4826 (that of a normal one)."""
    values = np.array([facts.brightness for facts in images])
    if len(values) < 5:
        return
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    limit = max(_SIGMAS * spread, _LEAST_STEP)
    for facts in images:
        if abs(facts.brightness - middle) > limit:
            kind = "brighter" if facts.brightness > middle else "darker"
            yield Finding(
                "warning",
                "brightness-outlier",
                facts.image,
                f"is much {kind} than the others: mean {facts.brightness:.0f} of 255, "
                f"median of all {middle:.0f}",
                "check exposure and stain; widen augmentation.brightness, or remove the pair",
            )


def _colors(facts: ImageFacts) -> str:
    return "gray" if facts.header.channels <= 2 else "color"


def _odd_ones_out(
    images: Sequence[ImageFacts], values: Sequence[str], code: str, what: str
) -> Iterator[Finding]:
    counts = Counter(values)
    if len(counts) < 2:
        return
    usual, number = counts.most_common(1)[0]
    for facts, value in zip(images, values, strict=True):
        if value != usual:
            yield Finding(
                "warning",
                code,
                facts.image,
                f"{what}: {value}, where {number} of {len(images)} images have {usual}",
                "save all images alike; a network tells them apart by it",
            )
