"""Writing a dataset so that it can be killed at any moment and gone on with.

    FOLDER/spec.json                              what it is made of; claims the folder
    FOLDER/{train,valid,test}/{images,masks}/STEM.png
    FOLDER/statistics.csv, statistics.png           what it holds
    FOLDER/manifest.csv                             every file, when all are there
    FOLDER/.unfinished/                             while they are not: see ``data/unfinished.py``
    FOLDER/.unfinished/done.jsonl                   what is done, one line a job

No file that is there is ever replaced. A job that was broken off is done again, and finds its
own files; a file with other bytes is not ours, and stops the work. One process writes at a time.
"""

import json
import secrets
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
from tiledseg.data.prepare.manifest import is_row, read_manifest
from tiledseg.data.prepare.statistics import has_statistics, write_statistics
from tiledseg.data.unfinished import COMMAND, MANIFEST, SPEC, UNFINISHED
from tiledseg.errors import DatasetError, ImageError, OutputError
from tiledseg.images.atomic import atomic_file, give_names
from tiledseg.images.hashing import hash_content
from tiledseg.images.place_lock import hold
from tiledseg.images.unused import is_file
from tiledseg.images.writing import write_image, write_labels, write_mask
from tiledseg.masks.classes import foreground
from tiledseg.masks.instances import label_instances

_DONE = "done.jsonl"
_KINDS = ("image", "mask")
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
    command: str = "",
) -> pd.DataFrame:
    """Write a dataset and its statistics, or what is missing of them.

    Args:
        folder: The dataset; new, empty, or begun with the same spec.
        spec: Everything that decides what comes out, as JSON.
        jobs: All of them, in the order of the manifest.
        progress: Called with jobs done and jobs in all.
        classes: Names of the labels in the masks, which are then written as a palette's indices;
            none for masks of 0 and 255.
        splits: Those that must get an image.
        command: What the user may call to go on with it; told to those who want to read what is
            unfinished.

    Returns:
        The manifest, one row per image: split, stem, source, kind, copy, top, left, height,
        width (of the piece, in pixels of the source times zoom), zoom, foreground (pixels),
        objects, image_digest, mask_digest (BLAKE2b of the files, 32 hexadecimal digits).

    Raises:
        OutputError: The folder holds something else, cannot be written, or another process
            writes it.
        DatasetError: One of ``splits`` got nothing.
        TiledsegError: What a job raises.
    """
    work = folder / UNFINISHED
    if _is_written(folder, spec) and has_statistics(folder) and not work.exists():
        return read_manifest(folder)  # also where nobody may write
    with hold(folder, "wait for it, or choose another name"):
        if _is_written(folder, spec):
            manifest = read_manifest(folder)
            work.mkdir(exist_ok=True)
            write_statistics(manifest, folder, work)
        else:
            _reserve(folder, spec, command)
            manifest = pd.DataFrame(_make_rows(folder, jobs, progress, len(classes)))
            _require_splits(folder, splits, set(manifest.get("split", ())))
            write_statistics(manifest, folder, work)
            with atomic_file(folder / MANIFEST, drafts=work) as file:
                file.write(manifest.to_csv(index=False).encode())
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _make_rows(
    folder: Path, jobs: Sequence[Job], progress: Progress | None, labels: int
) -> list[dict[str, Any]]:
    """Write the images that are missing; returns the manifest's rows."""
    done = _find_finished_jobs(folder, folder / UNFINISHED / _DONE)
    missing = [job for job in jobs if job.name not in done]
    _write_missing(folder, missing, done, len(jobs), progress, labels)
    return [row for job in jobs for row in done[job.name]]


def _require_splits(folder: Path, splits: Iterable[str], made: set[str]) -> None:
    """Refuse a dataset without one of its splits, which would be drawn from another."""
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
        others = {item.name for item in folder.iterdir()} if folder.exists() else set()
        foreign = not text and others - {UNFINISHED}  # killed before it could write the spec
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"{path}: cannot be read ({error}); choose another name") from None
    if foreign:
        raise OutputError(
            f"{folder} holds files already, and no {SPEC} of an earlier start; nothing is "
            "overwritten: choose another name, or move the folder away"
        )
    return text


def _is_written(folder: Path, spec: Mapping[str, Any]) -> bool:
    """Whether all images are there; refuses a folder that is not this dataset's."""
    text = require_own_folder(folder)
    if text:
        _require_same(folder, text, spec)
    return bool(text) and (folder / MANIFEST).is_file()


def _reserve(folder: Path, spec: Mapping[str, Any], command: str) -> None:
    """Make the folder an unfinished dataset, before there is any file of it; record its spec."""
    work = folder / UNFINISHED
    with atomic_file(work / COMMAND) as file:
        file.write(command.encode())
    if not (folder / SPEC).is_file():
        with atomic_file(folder / SPEC, drafts=work) as file:
            file.write(json.dumps(spec, indent=2).encode())


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
    removal = "" if (folder / MANIFEST).is_file() else ", or remove what is unfinished"
    raise OutputError(
        f"{folder} was begun with another spec ({apart}); choose another name, or give the "
        f"settings it was begun with{removal}"
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
            if all(is_row(row) and _is_there(folder, row) for row in rows):
                done[job] = rows
        except (ImageError, KeyError, TypeError, ValueError):  # the line that was being written
            continue
    return done


def _is_there(folder: Path, row: Mapping[str, Any]) -> bool:
    found = {kind: _path_of(folder, row, kind) for kind in _KINDS}
    return all(
        is_file(path) and hash_content(path) == row[f"{kind}_digest"]
        for kind, path in found.items()
    )


def _path_of(folder: Path, row: Mapping[str, Any], kind: str) -> Path:
    return Path(folder, row["split"], f"{kind}s", f"{row['stem']}.png")


def _write_missing(
    folder: Path,
    jobs: Sequence[Job],
    done: dict[str, list[dict[str, Any]]],
    count: int,
    progress: Progress | None,
    labels: int,
) -> None:
    lock = Lock()
    try:
        with (folder / UNFINISHED / _DONE).open("a", encoding="utf-8") as journal:
            journal.write("\n")  # a line that was cut off in the middle ends here

            def work_on(job: Job) -> None:
                rows = _write_pieces(folder, job, labels)
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


def _write_pieces(folder: Path, job: Job, labels: int) -> list[dict[str, Any]]:
    """Write a job's files as drafts, and give those their names that are not there yet."""
    rows: list[dict[str, Any]] = []
    moves: list[tuple[Path, Path]] = []
    for piece in job.pieces():
        row, drafts = _draft_piece(folder, piece, labels)
        rows.append(row)
        for kind, draft in drafts.items():
            path = _path_of(folder, row, kind)
            if _is_new(path, row[f"{kind}_digest"]):
                moves.append((draft, path))
    give_names(moves)
    return rows


def _draft_piece(
    folder: Path, piece: Piece, labels: int
) -> tuple[dict[str, Any], Mapping[str, Path]]:
    """Write image and mask under names of their own; returns the manifest's row, and both files."""
    work, unique = folder / UNFINISHED, secrets.token_hex(8)
    drafts = {kind: work / f"{unique}-{kind}.png" for kind in _KINDS}
    window, marked = piece.window, foreground(piece.mask)
    write_image(drafts["image"], piece.image)
    if labels:
        write_labels(drafts["mask"], piece.mask, labels)
    else:
        write_mask(drafts["mask"], piece.mask)
    row = {
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
        **{f"{kind}_digest": hash_content(draft) for kind, draft in drafts.items()},
    }
    return row, drafts


def _is_new(path: Path, digest: str) -> bool:
    """Whether a file is not there yet; refuses one of other bytes."""
    if not path.exists():
        return True
    if hash_content(path) != digest:
        raise OutputError(
            f"{path} is there already, and is not what would be written; nothing is overwritten: "
            "move it away, or choose another name"
        )
    return False
