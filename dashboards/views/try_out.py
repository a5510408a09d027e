"""Try: segment an uploaded image, tiled beside non-tiled."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import streamlit as st

from dashboards import empty_states, navigation, store
from dashboards.comparison import MODE_NAMES, SPLITS, name_version
from dashboards.filmstrip import Item, Shot, show_filmstrip, thumbnail_url
from dashboards.markdown import escape
from dashboards.masks import holds_labels, read_probability
from dashboards.pyramids import binarize
from dashboards.segmentation import Objects, Segmentation, segment
from dashboards.uploads import ACCEPTED, MOST_PIXELS, Upload
from dashboards.viewer import Layer, Pane, Scene, show_viewer
from dashboards.visits import upload_folder
from tiledseg.errors import ImageError, TiledsegError
from tiledseg.tracking.names import THRESHOLD_TAG
from tiledseg.tracking.queries import VersionSummary

if TYPE_CHECKING:
    from tiledseg.prediction.predictor import Mode

GIVEN, SAMPLE = "given-image", "sample-image"
ACCEPTED_IMAGE, REFUSED, RESULT = "accepted-image", "refused-because", "segmentation"
"""What a visitor's session remembers."""
MOST_SAMPLES = 8
"""Of each split."""
CHOICES: Mapping[str, tuple["Mode", ...]] = {
    "both": ("tiled", "resized"),
    "tiled": ("tiled",),
    "resized": ("resized",),
}


def show() -> None:
    """The page."""
    found = store.versions()
    if not found:
        empty_states.show_no_models()
        return
    st.title("Try a model on an image", anchor=False)
    left, right = st.columns([1.3, 1], gap="medium", vertical_alignment="top")
    with left:
        version, mode = _choose_version(found)
    with right:
        upload = _accept_image()
    if upload is not None:
        result = _segment(upload, version, CHOICES[mode])
        if result is not None:
            _counts(result)
            _viewer(upload, result)
            _downloads(upload, result)
    with empty_states.guard_part(
        "samples"
    ):  # the version's run may be gone, and the version still be tried
        _samples(version)


def _choose_version(found: Sequence[VersionSummary]) -> tuple[VersionSummary, str]:
    """Model, version and mode; at first the champion, both ways."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = list(dict.fromkeys(item.model for item in found))
        model = navigation.choose("Model", names, "model", always=True, width=220)
        own = sorted(
            (item for item in found if item.model == model),
            key=lambda item: ("champion" not in item.aliases, -int(item.version)),
        )
        by_number = {item.version: item for item in own}
        number = navigation.choose(
            "Version",
            list(by_number),
            "version",
            always=True,
            format_func=lambda key: name_version(by_number[key]),
            width=200,
        )
        mode = navigation.pick(
            "Mode",
            list(CHOICES),
            "mode",
            "both",
            format_func=lambda key: {"both": "Both", **MODE_NAMES}[key],
        )
    return by_number[number], mode


def _accept_image() -> Upload | None:
    """The visitor's image, or a sample that was clicked; checked. None while there is none."""
    state = st.session_state
    file = st.file_uploader(
        f"Image: JPEG, PNG, TIFF, BMP or WebP, at most {MOST_PIXELS / 1e6:.0f} million pixels",
        type=ACCEPTED,
        key="upload",
        help="It stays on this server while you look at it, and is seen by nobody else.",
    )
    if file is not None:
        state.pop(SAMPLE, None)
    sample: Path | None = state.get(SAMPLE)
    if file is None and sample is None:
        if state.pop(GIVEN, None):
            upload_folder().clear()
        for key in (RESULT, ACCEPTED_IMAGE):
            state.pop(key, None)
        return None
    folder = upload_folder()  # another one, and empty, after the browser was away for long
    given = (folder.path, file.file_id if file is not None else str(sample))
    if state.get(GIVEN) != given:
        state.update({GIVEN: given, ACCEPTED_IMAGE: None})
        state.pop(RESULT, None)
        try:
            if file is not None:
                state[ACCEPTED_IMAGE] = folder.accept(file.name, file.getvalue())
            elif sample is not None:
                state[ACCEPTED_IMAGE] = folder.accept(sample.name, sample.read_bytes())
        except (ImageError, OSError) as error:
            state[REFUSED] = str(error)
    accepted: Upload | None = state.get(ACCEPTED_IMAGE)
    if accepted is None:
        st.error(escape(state.get(REFUSED, "")), title="This file cannot be used")
    return accepted


def _samples(version: VersionSummary) -> None:
    """Images that the version was scored on, for who has none at hand."""
    if st.session_state.get("upload") is not None:
        return
    paths: dict[str, Path] = {}
    for split in SPLITS:
        predicted = store.predictions_of(version.run_id, split)
        found = {stem: predicted.path("image", stem) for stem in predicted.stems[:MOST_SAMPLES]}
        paths.update({stem: path for stem, path in found.items() if path is not None})
    if not paths:
        return
    st.caption("No image at hand? Click one that this version was scored on.")
    items = [Item(stem, [Shot(thumbnail_url(path))], stem) for stem, path in paths.items()]
    chosen = st.session_state.get(SAMPLE)
    open_now = chosen.stem if chosen else ""
    clicked = show_filmstrip(items, open_now, "Samples", key="samples", large=chosen is None)
    if clicked in paths and paths[clicked] != chosen:
        st.session_state[SAMPLE] = paths[clicked]
        st.rerun()


def _segment(
    upload: Upload, version: VersionSummary, modes: tuple["Mode", ...]
) -> Segmentation | None:
    uri = f"models:/{version.model}/{version.version}"
    # A checkpoint that was promoted gets another threshold when its training ends.
    threshold = version.tags.get(THRESHOLD_TAG, "")
    question = (uri, threshold, modes, st.session_state[GIVEN])
    kept = st.session_state.get(RESULT)
    if kept and kept[0] == question:
        found: Segmentation = kept[1]
        return found
    megapixels = upload.height * upload.width / 1e6
    try:
        what = f"Segmenting {escape(upload.name)}, {megapixels:.1f} megapixels …"
        with st.spinner(what, show_time=True):
            result = segment(uri, upload.path, modes, content=threshold)
    except TiledsegError as error:
        st.error(escape(str(error).replace(str(upload.path), upload.name)), title="Not segmented")
        return None
    st.session_state[RESULT] = (question, result)
    return result


def _counts(result: Segmentation) -> None:
    """Objects of each mode, before the pictures."""
    with st.container(horizontal=True):
        for mode, objects in result.objects.items():
            name = MODE_NAMES[mode]
            st.metric(f"{name}: objects", f"{objects.count:,}", width=170)
            st.metric(f"{name}: median area", f"{objects.median_area:,.0f} px", width=190)
            st.metric(f"{name}: foreground", f"{100 * objects.foreground:.2f} %", width=190)


@empty_states.guard_fragment
def _viewer(upload: Upload, result: Segmentation) -> None:
    """The panes; moving in them reruns this alone."""
    show_viewer(scene(upload, result), key="try-viewer")


def scene(upload: Upload, result: Segmentation) -> Scene:
    """The viewer's panes: image, masks, difference, uncertainty."""
    layers = [Layer("image", "Image", upload.path, "image")]
    panes = [Pane("image", "Image", "image")]
    for mode in ("resized", "tiled"):
        if mode in result.masks:
            layers.append(Layer(mode, MODE_NAMES[mode], result.masks[mode], "mask"))
            note = _objects_text(result.objects[mode])
            panes.append(Pane(mode, MODE_NAMES[mode], "mask", mode, note=note))
    if len(result.masks) == 2:
        panes.append(Pane("difference", "Difference", "difference", "tiled", "resized"))
    several = [mode for mode, path in result.masks.items() if holds_labels(path)]
    for mode in several:
        name = f"Classes, {MODE_NAMES[mode].lower()}"
        layers.append(Layer(f"{mode}-classes", name, result.masks[mode], "image"))
        panes.append(Pane(f"{mode}-classes", name, "image", f"{mode}-classes"))
    panes += [
        Pane(f"{mode}-uncertainty", f"Uncertainty, {MODE_NAMES[mode].lower()}", "uncertainty", mode)
        for mode in result.masks
        if mode not in several
    ]
    ids = [pane.id for pane in panes]
    first_shown = {"image", "tiled", "resized", "difference"}
    if several:
        first_shown = {"image", *(f"{mode}-classes" for mode in several)}
    shown = [name for name in ids if name in first_shown]
    first = "tiled" if "tiled" in ids else "resized"
    other = "resized" if len(result.masks) == 2 else "image"
    return Scene(
        picture=f"{upload.path.parent.name}/{upload.name}",
        size=store.picture_size(upload.path),
        layers=layers,
        panes=panes,
        shown=shown,
        swiped=(other, first),
        seams=result.seams if "tiled" in result.masks else None,
    )


def _downloads(upload: Upload, result: Segmentation) -> None:
    stem = upload.name.rpartition(".")[0] or upload.name
    with st.container(horizontal=True):
        for mode, path in result.masks.items():
            files = (("mask", _mask_bytes), ("probability", _plain_bytes))
            for kind, make in files[:1] if holds_labels(path) else files:
                st.download_button(
                    f"{MODE_NAMES[mode]} {kind} (PNG)",
                    data=partial(make, path),
                    file_name=f"{stem}-{mode}-{kind}.png",
                    mime="image/png",
                    icon=":material/download:",
                    on_click="ignore",
                )


def _mask_bytes(path: Path) -> bytes:
    """0 and 255, or a palette, as ``tiledseg predict`` writes it."""
    if holds_labels(path):
        return path.read_bytes()
    _, data = cv2.imencode(".png", binarize(read_probability(path)))
    return data.tobytes()


def _plain_bytes(path: Path) -> bytes:
    return path.read_bytes()


def _objects_text(objects: Objects) -> str:
    return f"{objects.count:,} objects"
