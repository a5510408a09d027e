"""What is cut out of whole images: sizes, overlaps, and how many empty tiles stay."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from tiledseg.config import AugmentationSettings
from tiledseg.data.split import SPLITS
from tiledseg.errors import ExperimentError

_LEAST_SIDE, _LARGEST_SIDE = 16, 32768


@dataclass(frozen=True)
class PreparationSpec:
    """How a dataset is cut; sizes are in pixels, and 0 leaves a step out.

    Attributes:
        tile: Side of tiles that cover each image.
        overlap: Pixels that neighboring tiles share.
        empty: Share of the tiles without foreground that ``train`` keeps; the other splits keep
            all, so that what is invented on them is seen.
        reduce: Longer side to which each whole image is reduced; smaller ones stay as they are.
        objects: Side of crops around each object; larger where the object is.
        enlarge: Longer side to which each image is enlarged before anything is cut.
        augment: Changed copies beside each file of ``train``.
        uncut: Splits whose images stay whole, at full size.
        seed: Seed of what is drawn: the empty tiles that stay, and the changes.

    Raises:
        ExperimentError: Nothing is asked for, or values do not go together.
    """

    tile: int = 0
    overlap: int = 0
    empty: float = 1.0
    reduce: int = 0
    objects: int = 0
    enlarge: int = 0
    augment: int = 0
    uncut: tuple[str, ...] = ()
    seed: int = 137

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("tile", "reduce", "objects", "enlarge")}
        for name, size in sizes.items():
            if size and not _LEAST_SIDE <= size <= _LARGEST_SIDE:
                raise ExperimentError(
                    f"--{name} {size}: use {_LEAST_SIDE} to {_LARGEST_SIDE} pixels, or 0 for none"
                )
        if not any(sizes.values()) and not self.augment and not self.uncut:
            raise ExperimentError(
                "nothing to cut; give --tile, --reduce, --objects, --enlarge or --augment"
            )
        self._require_overlap_and_shares()

    def _require_overlap_and_shares(self) -> None:
        if self.overlap and not 0 <= self.overlap < self.tile:
            raise ExperimentError(
                f"--overlap {self.overlap} does not go with --tile {self.tile}; use 0 up to less "
                "than the tile"
            )
        if not 0.0 <= self.empty <= 1.0:
            raise ExperimentError(f"--empty {self.empty}: use a share of the tiles, 0 to 1")
        if not 0 <= self.augment <= 1000:
            raise ExperimentError(f"--augment {self.augment}: use 0 to 1000 copies")
        strangers = set(self.uncut) - set(SPLITS)
        if strangers:
            raise ExperimentError(
                f"--uncut {', '.join(sorted(strangers))}: no such split; use train, valid or test"
            )

    @property
    def cuts(self) -> bool:
        """Whether anything but the whole image is made."""
        return bool(self.tile or self.reduce or self.objects)

    def __str__(self) -> str:
        usual = {field.name: field.default for field in fields(self)}
        chosen = {name: value for name, value in asdict(self).items() if value != usual[name]}
        return ", ".join(
            f"{name} {' '.join(value) if isinstance(value, tuple) else value}"
            for name, value in chosen.items()
        )

    def record(
        self, source: str, digest: str, threshold: int | None, changes: AugmentationSettings
    ) -> dict[str, Any]:
        """Everything that decides what comes out, as it is kept beside the dataset.

        Args:
            source: Name of the dataset that is cut.
            digest: Its digest.
            threshold: Foreground of its masks is brighter than this; None for labels.
            changes: The random changes; kept where copies are made.
        """
        origin = {"source": source, "source_digest": digest, "mask_threshold": threshold}
        kept = {**origin, **asdict(self), "uncut": [*self.uncut]}
        return kept | ({"changes": changes.model_dump(mode="json")} if self.augment else {})
