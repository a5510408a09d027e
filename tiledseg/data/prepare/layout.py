"""Writing a dataset so that it can be killed at any moment and gone on with.

    FOLDER/spec.json                              what it is made of; claims the folder
    FOLDER/{train,valid,test}/{images,masks}/STEM.png
    FOLDER/manifest.csv                             every file, when all are there
    FOLDER/.unfinished/                             while they are not: what is done, one line a job

No file that is there is ever replaced. A job that was broken off is done again, and finds its
own files; a file with other bytes is not ours, and stops the work.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from tiledseg.config.regular_files import parse_json, read_text, require_free_or_regular
from tiledseg.data.prepare.cutting import Piece
from tiledseg.errors import DatasetError, ImageError, OutputError, one_line
from tiledseg.images.atomic import atomic_file
from tiledseg.images.hashing import hash_content
from tiledseg.images.unused import is_file
from tiledseg.images.writing import write_image, write_labels, write_mask
from tiledseg.masks.classes import foreground
from tiledseg.masks.instances import label_instances

SPEC, MANIFEST = "spec.json", "manifest.csv"
_UNFINISHED, _DONE = ".unfinished", "done.jsonl"
_THREADS = 2
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """The pieces of one source image.

    Attributes:
        name: Unique in a dataset.
        pieces: Makes them; the same whenever it is called.
    """

    name: str
    pieces: Callable[[], Iterable[Piece]]


def write_layout(
    folder: Path,
    spec: Mapping[str, Any],
    jobs: Sequence[Job],
    progress: Progress | None = None,
    classes: Sequence[str] = (),
    splits: Iterable[str] = (),
) -> pd.DataFrame:
    """Write a dataset, or what is missing of it.

    Args:
        folder: The dataset; new, empty, or begun with the same spec.
        spec: Everything that decides what comes out, as JSON.
        jobs: All of them, in the order of the manifest.
        progress: Called with jobs done and jobs in all.
        classes: Names of the labels in the masks, which are then written as a palette's indices;
            none for masks of 0 and 255.
        splits: Those that must get an image.

    Returns:
        The manifest, one row per image: split, stem, source, kind, copy, top, left, height,
        width (of the piece, in pixels of the source times zoom), zoom, foreground (pixels),
        objects, image_digest, mask_digest (BLAKE2b of the files, 32 hexadecimal digits).

    Raises:
        OutputError: The folder holds something else, or cannot be written.
        DatasetError: One of ``splits`` got nothing.
        TiledsegError: What a job raises.
    """
    if _reserve(folder, spec):
        return read_manifest(folder)
    work = folder / _UNFINISHED
    done = _find_finished_jobs(folder, work / _DONE)
    missing = [job for job in jobs if job.name not in done]
    _write_missing(folder, missing, done, len(jobs), progress, len(classes))
    rows = [row for job in jobs for row in done[job.name]]
    _require_splits(folder, splits, rows)
    manifest = pd.DataFrame(rows)
    with atomic_file(folder / MANIFEST) as file:
        file.write(manifest.to_csv(index=False).encode())
    shutil.rmtree(work, ignore_errors=True)
    return manifest


def _require_splits(folder: Path, splits: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a dataset without one of its splits, which would be drawn from another."""
    made = {row["split"] for row in rows}
    absent = [split for split in splits if split not in made]
    if absent:
        raise DatasetError(
            f"{folder}: nothing was cut from {' and '.join(absent)}, as the masks there mark no "
            "object; mend dataset.mask_threshold or the masks (tiledseg check shows them), and "
            "prepare it under another name"
        )


def require_own_folder(folder: Path) -> str:
    """Refuse a folder that holds what was not written here.

    Returns:
        The spec it was begun with, as it is stored; empty where nothing is there.

    Raises:
        OutputError: It holds other files.
    """
    path = folder / SPEC
    try:
        text = read_text(path) if path.is_file() else ""
        foreign = not text and folder.exists() and any(folder.iterdir())
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"{path}: cannot be read ({error}); choose another name") from None
    if foreign:
        raise OutputError(
            f"{folder} holds files already, and no {SPEC} of an earlier start; nothing is "
            "overwritten: choose another name, or move the folder away"
        )
    return text


def read_manifest(folder: Path) -> pd.DataFrame:
    """The manifest of a finished dataset, as ``write_layout`` returns it.

    Raises:
        OutputError: It cannot be read.
    """
    try:
        table = pd.read_csv(folder / MANIFEST, dtype={"stem": str, "source": str})
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{folder / MANIFEST}: cannot be read ({one_line(error)}); prepare the "
            "dataset under another name"
        ) from None
    return table


def _reserve(folder: Path, spec: Mapping[str, Any]) -> bool:
    """Record the spec in the folder; True where everything is written already."""
    text = require_own_folder(folder)
    if text:
        _require_same(folder, text, spec)
        return (folder / MANIFEST).is_file()
    with atomic_file(folder / SPEC) as file:
        file.write(json.dumps(spec, indent=2).encode())
    return False


def _require_same(folder: Path, text: str, spec: Mapping[str, Any]) -> None:
    try:
        begun = parse_json(text)
    except ValueError:
        begun = None
    wanted = json.loads(json.dumps(spec))
    if begun == wanted:
        return
    if not isinstance(begun, dict):
        raise OutputError(f"{folder / SPEC} is no spec; choose another name")
    keys = [key for key in {**begun, **wanted} if begun.get(key) != wanted.get(key)]
    apart = ", ".join(f"{key} {begun.get(key)!r}, now {wanted.get(key)!r}" for key in keys)
    raise OutputError(
        f"{folder} was begun with another spec ({apart}); choose another name, or give the "
        "settings it was begun with"
    )


def _find_finished_jobs(folder: Path, journal: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows by job, of those whose files are all there as they were written.

    Raises:
        OutputError: The journal cannot be read, nor added to.
    """
    try:
        require_free_or_regular(journal)
        lines = read_text(journal).splitlines() if journal.is_file() else []
    except UnicodeDecodeError:
        lines = []
    except OSError as error:
        raise OutputError(
            f"{journal}: cannot be read ({error.strerror or error}); remove it to have everything "
            "made again, or choose another name"
        ) from None
    done = {}
    for line in lines:
        try:
            entry = parse_json(line)
            job, rows = str(entry["job"]), list(entry["rows"])
            if all(_is_there(folder, row) for row in rows):
                done[job] = rows
        except (ImageError, KeyError, TypeError, ValueError):  # the line that was being written
            continue
    return done


def _is_there(folder: Path, row: Mapping[str, Any]) -> bool:
    paths = {
        f"{kind}_digest": folder / row["split"] / f"{kind}s" / f"{row['stem']}.png"
        for kind in ("image", "mask")
    }
    return all(is_file(path) and hash_content(path) == row[key] for key, path in paths.items())


def _write_missing(
    folder: Path,
    jobs: Sequence[Job],
    done: dict[str, list[dict[str, Any]]],
    count: int,
    progress: Progress | None,
    labels: int,
) -> None:
    lock = Lock()
    work = folder / _UNFINISHED
    try:
        work.mkdir(exist_ok=True)
        with (work / _DONE).open("a", encoding="utf-8") as journal:
            journal.write("\n")  # a line that was cut off in the middle ends here

            def work_on(job: Job) -> None:
                rows = [_write_piece(folder, piece, labels) for piece in job.pieces()]
                with lock:
                    journal.write(json.dumps({"job": job.name, "rows": rows}) + "\n")
                    journal.flush()
                    done[job.name] = rows
                    if progress is not None:
                        progress(len(done), count)

            with ThreadPoolExecutor(_THREADS) as pool:
                for future in [pool.submit(work_on, job) for job in jobs]:
                    try:
                        future.result()
                    except BaseException:
                        pool.shutdown(wait=True, cancel_futures=True)
                        raise
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}); make room, or choose another data "
            "root, and give the same command again: it goes on"
        ) from None


def _write_piece(folder: Path, piece: Piece, labels: int) -> dict[str, Any]:
    image = folder / piece.split / "images" / f"{piece.stem}.png"
    mask = folder / piece.split / "masks" / f"{piece.stem}.png"
    window, marked = piece.window, foreground(piece.mask)

    def write_target(path: Path) -> None:
        if labels:
            write_labels(path, piece.mask, labels)
        else:
            write_mask(path, piece.mask)

    return {
        "split": piece.split,
        "stem": piece.stem,
        "source": piece.source,
        "kind": piece.kind,
        "copy": piece.copy,
        "top": window.top,
        "left": window.left,
        "height": window.height,
        "width": window.width,
        "zoom": round(piece.zoom, 6),
        "foreground": int(np.count_nonzero(marked)),
        "objects": int(label_instances(marked).max(initial=0)),
        "image_digest": _place(image, folder, lambda path: write_image(path, piece.image)),
        "mask_digest": _place(mask, folder, write_target),
    }


def _place(path: Path, folder: Path, write: Callable[[Path], None]) -> str:
    """Write a file under a temporary name, and give it its own unless that is there already."""
    unique = f"{os.getpid()}-{path.parts[-3]}-{path.parts[-2]}-{path.name}"
    temporary = folder / _UNFINISHED / unique
    write(temporary)
    digest = hash_content(temporary)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
    elif hash_content(path) == digest:
        temporary.unlink()
    else:
        raise OutputError(
            f"{path} is there already, and is not what would be written; nothing is overwritten: "
            "move it away, or choose another name"
        )
    return digest
