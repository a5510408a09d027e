"""Reports as files: JSON for programs, HTML for people."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiledseg.checking.finding import Report
from tiledseg.checking.page import MARK, report_page
from tiledseg.errors import OutputError
from tiledseg.images.atomic import atomic_file
from tiledseg.images.names import as_text

_HEAD = 4096
"""Bytes in which a previous report names itself."""


def require_writable(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that holds anything but a previous report.

    Args:
        path: The file to write.
        overwrite: Replace whatever is there.

    Raises:
        OutputError: Something else is there.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file")
    if not path.exists() or overwrite:
        return
    try:
        with path.open("rb") as file:
            ours = MARK.encode() in file.read(_HEAD)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}); name another file") from None
    if not ours:
        raise OutputError(
            f"{path}: exists, and is no report of tiledseg check; name another file, or give "
            "--overwrite"
        )


def write_html(report: Report, path: Path, *, overwrite: bool = False) -> None:
    """Write a report as one HTML file with its pictures inside; it loads nothing.

    Raises:
        OutputError: The file cannot be written, or holds something else.
    """
    _write(path, lambda: report_page(report), overwrite=overwrite)


def write_json(report: Report, path: Path, *, overwrite: bool = False) -> None:
    """Write a report as JSON.

    Keys: generator, dataset, folder, sound, drawn, counts, findings (severity, code, place,
    message, remedy, others) and images (split, stem, image, masks, height, width, channels, bits,
    brightness, contrast, foreground, objects, median_side, specks,
    mask_values: pixels of each number as stored). Paths start at the folder.

    Raises:
        OutputError: The file cannot be written, or holds something else.
    """
    _write(path, lambda: json.dumps(as_json(report), indent=1) + "\n", overwrite=overwrite)


def as_json(report: Report) -> dict[str, Any]:
    """The content of a JSON report; see ``write_json``."""
    return {
        "generator": MARK,
        "dataset": report.name,
        "folder": str(report.folder),
        "sound": report.is_sound,
        "drawn": report.drawn,
        "counts": report.counts,
        "findings": [
            {
                "severity": finding.severity,
                "code": finding.code,
                "place": report.shorten_path(finding.place),
                "message": finding.message,
                "remedy": finding.remedy,
                "others": [report.shorten_path(other) for other in finding.others],
            }
            for finding in report.findings
        ],
        "images": [
            {
                "split": facts.split,
                "stem": facts.stem,
                "image": report.shorten_path(facts.image),
                "masks": [report.shorten_path(mask) for mask in facts.masks],
                "height": facts.shape[0],
                "width": facts.shape[1],
                "channels": facts.header.channels,
                "bits": facts.header.bits,
                "brightness": round(facts.brightness, 2),
                "contrast": round(facts.contrast, 2),
                "foreground": round(facts.mask.foreground, 6),
                "objects": len(facts.mask.sides),
                "median_side": facts.mask.median_side,
                "specks": facts.mask.specks,
                "mask_values": {str(value): count for value, count in facts.mask.values.items()},
            }
            for facts in report.images
        ],
    }


def _write(path: Path, content: Callable[[], str], *, overwrite: bool) -> None:
    require_writable(path, overwrite=overwrite)
    with atomic_file(path) as file:
        file.write(as_text(content()).encode())
