"""Near-duplicate images: reduced, hashed, compared in all eight orientations.

The hash is pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions",
2010): signs of the lowest 63 frequencies of the discrete cosine transform about their median.
It names candidates; the correlation of their thumbnails decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.checking.facts import ImageFacts
from tiledseg.checking.finding import Finding

SAME, ALIKE = 0.995, 0.97
"""Correlation of thumbnails: a copy saved again has more than the first, neighboring slices or
frames have more than the second (0.974 to 0.992 in a breast MRI series, at most 0.960 among
different single cells on a plain ground)."""
_CANDIDATE = 10
"""Most bits of 63 that differ between hashes of candidates."""
_PLAIN = 2.0
"""Standard deviation of a thumbnail under which there is nothing to compare."""
_BLOCK, _PAIRS_AT_ONCE = 256, 2**14


@dataclass(frozen=True)
class NearDuplicate:
    """Two images that are near-duplicates.

    Attributes:
        first: Index of the earlier image.
        second: Index of the later image.
        correlation: Of their thumbnails, in the orientation that fits best; at most 1.
        turned: True where the second is mirrored or turned.
    """

    first: int
    second: int
    correlation: float
    turned: bool


def find_near_duplicates(thumbnails: NDArray[np.float32]) -> list[NearDuplicate]:
    """Find pairs of images that are copies (in any orientation), or alike (in the same).

    Args:
        thumbnails: (n, 32, 32), float32.
    """
    if len(thumbnails) < 2:
        return []
    shown = np.stack([_turn_all_ways(thumbnail) for thumbnail in thumbnails])
    hashes = np.array([[_hash(one) for one in eight] for eight in shown], np.uint64)
    flat = shown.reshape(*shown.shape[:2], -1)
    centered = flat - flat.mean(axis=2, keepdims=True)
    centered /= np.maximum(np.linalg.norm(centered, axis=2, keepdims=True), 1e-6)
    told = flat[:, 0].std(axis=1) > _PLAIN
    best: dict[tuple[int, int], NearDuplicate] = {}
    for turn in range(shown.shape[1]):
        for start in range(0, len(shown), _BLOCK):
            bits = np.bitwise_count(hashes[start : start + _BLOCK, :1] ^ hashes[:, turn])
            firsts, seconds = np.nonzero(bits <= _CANDIDATE)
            firsts += start
            kept = (firsts < seconds) & told[firsts] & told[seconds]
            firsts, seconds = firsts[kept], seconds[kept]
            for some in range(0, len(firsts), _PAIRS_AT_ONCE):
                part = slice(some, some + _PAIRS_AT_ONCE)
                values = np.einsum(
                    "ij,ij->i", centered[firsts[part], 0], centered[seconds[part], turn]
                )
                for index in np.flatnonzero(values >= (SAME if turn else ALIKE)):
                    pair = int(firsts[some + index]), int(seconds[some + index])
                    found = NearDuplicate(*pair, float(values[index]), turned=turn > 0)
                    if pair not in best or best[pair].correlation < found.correlation - 1e-3:
                        best[pair] = found
    return [best[pair] for pair in sorted(best)]


def near_duplicate_findings(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    """Report images that are near-duplicates of others.

    Each image is told of once at most: with the one of another split that it resembles most, or
    else with that of its own. Files of the same bytes are told of elsewhere.

    Args:
        images: What was measured, train first.
    """
    thumbnails = np.array([facts.thumbnail for facts in images], np.float32)
    closest: dict[int, NearDuplicate] = {}
    for pair in find_near_duplicates(thumbnails):
        one, other = images[pair.first], images[pair.second]
        if one.digest == other.digest:
            continue
        known = closest.get(pair.second)
        if known is None or _weight(images, pair) > _weight(images, known):
            closest[pair.second] = pair
    for index in sorted(closest):
        yield _finding(images, closest[index])


def _weight(images: Sequence[ImageFacts], pair: NearDuplicate) -> tuple[bool, float]:
    return images[pair.first].split != images[pair.second].split, pair.correlation


def _finding(images: Sequence[ImageFacts], pair: NearDuplicate) -> Finding:
    one, other = images[pair.first], images[pair.second]
    apart, same = one.split != other.split, pair.correlation >= SAME
    way = ", mirrored or turned" if pair.turned else ""
    told = f"{one.image.name} of {one.split}{way} (correlation {pair.correlation:.3f})"
    if same:
        return Finding(
            "error" if apart else "warning",
            "copy-in-two-splits" if apart else "copy",
            other.image,
            f"shows the same as {told}",
            "keep it in one split alone; scores on the other would be too good"
            if apart
            else "remove one, or it counts twice",
            (one.image,),
        )
    return Finding(
        "warning" if apart else "note",
        "alike-in-two-splits" if apart else "alike",
        other.image,
        f"is much like {told}, as neighboring slices or frames are",
        "put images of one series into one split; else a high score proves little"
        if apart
        else "nothing, if they are different images",
        (one.image,),
    )


def _turn_all_ways(thumbnail: NDArray[np.float32]) -> NDArray[np.float32]:
    turned = [np.rot90(thumbnail, quarter) for quarter in range(4)]
    return np.stack([*turned, *(np.fliplr(one) for one in turned)])


def _hash(thumbnail: NDArray[np.float32]) -> int:
    lowest = cv2.dct(np.ascontiguousarray(thumbnail))[:8, :8].ravel()[1:]
    bits = np.asarray(lowest > np.median(lowest))
    return int("".join("1" if bit else "0" for bit in bits), 2)
