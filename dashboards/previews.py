"""Thumbnails of the worst images, non-tiled beside tiled, with errors in color."""

from dashboards import store
from dashboards.comparison import MODE_NAMES, Side, Source, join_scores
from dashboards.filmstrip import Item, Shot, thumbnail_url
from dashboards.formatting import format_score

MODES = ("resized", "tiled")
"""From left to right."""
KEY_TO_COLORS = (
    "White: true positive. Orange: false positive. Blue: false negative. Worst image first."
)


def worst_images(source: Source, split: str, most: int) -> list[Item]:
    """The images that a run segmented worst, non-tiled beside tiled, errors in color.

    Args:
        source: A run with predictions.
        split: Whose images.
        most: How many.
    """
    table = join_scores(split, Side(source, "tiled"), Side(source, "resized"))
    found = store.predictions_of(source.run.run_id, split)
    items = []
    for row in table.head(most).to_dict("records"):
        stem = str(row["image"])
        scores = {"tiled": float(row["left"]), "resized": float(row["right"])}
        image, target = found.path("image", stem), found.path("target", stem)
        shots = []
        for mode in MODES:
            mask = found.path(mode, stem)
            if mask is not None and image is not None:
                label = f"{MODE_NAMES[mode]} {format_score(scores[mode])}"
                shots.append(Shot(thumbnail_url(mask, "mask", image, target), label))
        if shots:
            items.append(Item(stem, shots, stem))
    return items
