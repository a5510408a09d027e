"""Try: segment an image of your own, tiled beside non-tiled."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import streamlit as st

from dashboards import links, states, store
from dashboards.comparison import MODE_NAMES, version_label
from dashboards.pyramids import CUT
from dashboards.segmentation import Objects, Segmentation, segment
from dashboards.uploads import ACCEPTED, MOST_MEGABYTES, MOST_PIXELS, Upload, UploadFolder
from dashboards.viewer import Layer, Pane, Scene, show_viewer
from tiledseg.errors import ImageError, TiledsegError

FOLDER = "upload-folder"
RESULT = "segmentation"
CHOICES = {"both": ("tiled", "whole"), "tiled": ("tiled",), "whole": ("whole",)}


def show() -> None:
    """The page."""
    found = store.versions()
    if not found:
        states.no_model()
        return
    st.title("Try a model on an image", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = list(dict.fromkeys(item.model for item in found))
        model = links.choose("Model", names, "model", width=220)
        own = sorted(
            (item for item in found if item.model == model),
            key=lambda item: ("champion" not in item.aliases, -int(item.version)),
        )
        labels = {item.version: version_label(item) for item in own}
        version = links.choose(
            "Version", list(labels), "version", format_func=lambda key: labels[key], width=240
        )
        mode = links.pick(
            "Mode",
            list(CHOICES),
            "mode",
            "both",
            format_func=lambda key: {"both": "Both", **MODE_NAMES}[key],
        )
    upload = _uploaded()
    if upload is None:
        return
    result = _segmented(upload, f"models:/{model}/{version}", CHOICES[mode])
    if result is not None:
        _counts(result)
        _viewer(upload, result)
        _downloads(upload, result)


def _uploaded() -> Upload | None:
    """The visitor's image, checked; None while there is none."""
    file = st.file_uploader(
        "Image: JPEG, PNG, TIFF or BMP",
        type=ACCEPTED,
        key="upload",
        help=f"At most {MOST_MEGABYTES} MB and {MOST_PIXELS / 1e6:.0f} million pixels. "
        "It stays on this server while you look at it, and is seen by nobody else.",
    )
    folder = st.session_state.get(FOLDER)
    if file is None:
        for key in (FOLDER, RESULT, "upload-id", "accepted"):
            st.session_state.pop(key, None)
        return None
    if st.session_state.get("upload-id") == file.file_id:
        accepted: Upload | None = st.session_state.get("accepted")
        if accepted is None:
            st.error(st.session_state.get("refused", ""), title="This file cannot be used")
        return accepted
    folder = folder or UploadFolder()
    st.session_state.update({FOLDER: folder, "upload-id": file.file_id, "accepted": None})
    st.session_state.pop(RESULT, None)
    try:
        accepted = folder.accept(file.name, file.getvalue())
    except ImageError as error:
        st.session_state["refused"] = str(error)
        st.error(str(error), title="This file cannot be used")
        return None
    st.session_state["accepted"] = accepted
    return accepted


def _segmented(upload: Upload, uri: str, modes: tuple[str, ...]) -> Segmentation | None:
    question = (uri, modes, st.session_state["upload-id"])
    kept = st.session_state.get(RESULT)
    if kept and kept[0] == question:
        found: Segmentation = kept[1]
        return found
    megapixels = upload.height * upload.width / 1e6
    try:
        with st.spinner(f"Segmenting {upload.name}, {megapixels:.1f} megapixels …", show_time=True):
            result = segment(uri, upload.path, modes)
    except TiledsegError as error:
        st.error(str(error).replace(str(upload.path), upload.name), title="Not segmented")
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


@st.fragment
def _viewer(upload: Upload, result: Segmentation) -> None:
    """The panes; moving in them reruns this alone."""
    show_viewer(scene(upload, result), key="try-viewer")


def scene(upload: Upload, result: Segmentation) -> Scene:
    """The viewer's panes: image, masks, difference, uncertainty."""
    layers = [Layer("image", "Image", upload.path, "image")]
    panes = [Pane("image", "Image", "image")]
    for mode in ("whole", "tiled"):
        if mode in result.masks:
            layers.append(Layer(mode, MODE_NAMES[mode], result.masks[mode], "mask"))
            note = _objects_text(result.objects[mode])
            panes.append(Pane(mode, MODE_NAMES[mode], "mask", mode, note=note))
    if len(result.masks) == 2:
        panes.append(Pane("difference", "Difference", "difference", "tiled", "whole"))
    panes += [
        Pane(f"{mode}-doubt", f"Uncertainty, {MODE_NAMES[mode].lower()}", "uncertainty", mode)
        for mode in result.masks
    ]
    ids = [pane.id for pane in panes]
    shown = [name for name in ids if name in {"image", "tiled", "whole", "difference"}]
    first = "tiled" if "tiled" in ids else "whole"
    other = "whole" if len(result.masks) == 2 else "image"
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
            for kind, make in (("mask", _mask_bytes), ("probability", _plain_bytes)):
                st.download_button(
                    f"{MODE_NAMES[mode]} {kind} (PNG)",
                    data=partial(make, path),
                    file_name=f"{stem}-{mode}-{kind}.png",
                    mime="image/png",
                    icon=":material/download:",
                    on_click="ignore",
                )


def _mask_bytes(path: Path) -> bytes:
    """0 and 255, as ``tiledseg predict`` writes it."""
    stored = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    _, data = cv2.imencode(".png", np.where(stored >= CUT, 255, 0).astype(np.uint8))
    return data.tobytes()


def _plain_bytes(path: Path) -> bytes:
    return path.read_bytes()


def _objects_text(objects: Objects) -> str:
    return f"{objects.count:,} objects"
