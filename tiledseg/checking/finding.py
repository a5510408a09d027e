"""A finding, and all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiledseg.checking.facts import ImageFacts

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From worst to mildest. An error makes training unsound; a note is for your information."""


@dataclass(frozen=True)
class Finding:
    """Something about a dataset that its owner should know.

    Attributes:
        severity: ``error``, ``warning`` or ``note``.
        code: Name of the kind of finding, for example ``mask-empty``.
        place: The file or folder it is about.
        message: What was found, with the value; follows the place's name.
        remedy: What to do.
        others: Further files it is about, for example the other image of a pair.
    """

    severity: Severity
    code: str
    place: Path
    message: str
    remedy: str
    others: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        name: Name of the dataset.
        folder: Where it lies.
        drawn: True where at least one split is drawn instead of found on disk.
        images: What was measured, in the order of splits and stems; unreadable ones are left out.
        findings: All of them, errors first, then by kind and file.
    """

    name: str
    folder: Path
    drawn: bool
    images: Sequence[ImageFacts]
    findings: Sequence[Finding]

    @property
    def is_sound(self) -> bool:
        """True where nothing stands against training."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def counts(self) -> dict[Severity, int]:
        """Number of findings of each severity."""
        return {
            severity: sum(finding.severity == severity for finding in self.findings)
            for severity in SEVERITIES
        }

    def shorten_path(self, path: Path) -> str:
        """A path as it is shown: from the dataset's folder on, where it lies in it."""
        inside = path.is_relative_to(self.folder) and path != self.folder
        return (path.relative_to(self.folder) if inside else path).as_posix()


def group_by_kind(findings: Sequence[Finding]) -> list[Sequence[Finding]]:
    """Findings of one severity and code together; all stay in order, and no group is empty."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.severity, finding.code), []).append(finding)
    return list(groups.values())


def sort_findings(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors first, then by kind, then by file."""
    return tuple(
        sorted(
            findings,
            key=lambda finding: (SEVERITIES.index(finding.severity), finding.code, finding.place),
        )
    )
