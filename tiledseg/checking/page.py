"""A report as one HTML page: numbers, findings with thumbnails, and what the images look like."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from tiledseg.checking.facts import ImageFacts
from tiledseg.checking.finding import Finding, Report, group_by_kind
from tiledseg.checking.summary import split_numbers

MARK = "tiledseg check"
"""Names the generator in a report; only files that hold it are replaced unasked."""
_GALLERY = 24
"""Most images of a split that are shown without cause."""
_PICTURES = 48
"""Most findings of a kind that are shown with pictures; all are listed."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --error: #b3261e; --warning: #8a5a00;
  --note: #2b6cb0; --page: #fff; --ink: #1b1b1f; --soft: #5f6368; }
@media (prefers-color-scheme: dark) { :root { --error: #ff8a80; --warning: #ffb74d;
  --note: #90caf9; --page: #17181c; --ink: #e6e6ea; --soft: #a0a4ab; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
  padding: 0 1.25rem; background: var(--page); color: var(--ink); }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0; } .soft { color: var(--soft); } p { margin: .3rem 0; }
.summary { font-size: 1.1rem; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
section.kind { border-left: 4px solid var(--line); padding: .1rem 0 .1rem 1rem; margin: 1.2rem 0; }
section.error { border-color: var(--error); } section.warning { border-color: var(--warning); }
section.note { border-color: var(--note); }
.error .badge { color: var(--error); } .warning .badge { color: var(--warning); }
.note .badge { color: var(--note); } .badge { font-weight: 600; }
ul { padding-left: 0; list-style: none; margin: .5rem 0; }
li { margin: .6rem 0; display: flex; gap: .8rem; align-items: flex-start; }
li img { flex: none; } code { font-size: .9em; overflow-wrap: anywhere; }
img { max-width: 120px; max-height: 120px; border-radius: 4px; }
.gallery { display: flex; flex-wrap: wrap; gap: .8rem; } figure { margin: 0; width: 130px; }
figcaption { font-size: .78rem; color: var(--soft); overflow-wrap: anywhere; }
"""


def report_page(report: Report) -> str:
    """A report as HTML; it loads nothing and runs nothing."""
    name = escape(report.name)
    pictures = {path: facts for facts in report.images for path in (facts.image, *facts.masks)}
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta name="generator" content="{MARK}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{name}: check</title><style>{_STYLE}</style></head><body>",
            f"<h1>{name}</h1>",
            f'<p class="soft"><code>{escape(str(report.folder))}</code></p>',
            *_summary_line(report),
            *_numbers(report),
            *_findings(report, pictures),
            *_gallery(report.images),
            "</body></html>",
            "",
        ]
    )


def summarize(report: Report) -> str:
    """One sentence on whether to train."""
    counts = ", ".join(
        f"{count} {severity}{'' if count == 1 else 's'}"
        for severity, count in report.counts.items()
        if count
    )
    found = f" ({counts})" if counts else ""
    if report.is_sound:
        return f"Nothing stands against training{found}."
    return f"Training on this would be unsound{found}."


def _summary_line(report: Report) -> list[str]:
    return [f'<p class="summary"><strong>{escape(summarize(report))}</strong></p>']


def _numbers(report: Report) -> Iterable[str]:
    yield "<h2>What was read</h2><table><tr><th>split</th><th>images</th><th>megapixels</th>"
    yield "<th>foreground</th><th>objects</th><th>longer side, px (5, 50, 95 %)</th>"
    yield "<th>brightness (least, median, most)</th></tr>"
    for row in split_numbers(report.images):
        sides = ", ".join(f"{side:.0f}" for side in row.sides)
        brightness = ", ".join(f"{value:.0f}" for value in row.brightness)
        yield (
            f"<tr><td>{row.split}</td><td>{row.images}</td><td>{row.megapixels:.1f}</td>"
            f"<td>{row.foreground:.2%}</td><td>{row.objects}</td><td>{sides}</td>"
            f"<td>{brightness}</td></tr>"
        )
    yield "</table>"
    if report.drawn:
        yield '<p class="soft">Splits without a folder were drawn by source image.</p>'


def _findings(report: Report, pictures: Mapping[Path, ImageFacts]) -> Iterable[str]:
    if report.findings:
        yield "<h2>What was found</h2>"
    for findings in group_by_kind(report.findings):
        first = findings[0]
        yield f'<section class="kind {first.severity}" id="{first.severity}-{first.code}">'
        yield (
            f'<h3><span class="badge">{first.severity}</span> {first.code} '
            f'<span class="soft">{len(findings)}</span></h3><ul>'
        )
        for number, finding in enumerate(findings):
            yield _item(report, finding, pictures if number < _PICTURES else {})
        yield "</ul></section>"


def _item(report: Report, finding: Finding, pictures: Mapping[Path, ImageFacts]) -> str:
    shown = [pictures[path] for path in (finding.place, *finding.others) if path in pictures]
    unique = {facts.image: facts for facts in shown}.values()
    images = "".join(_picture(facts) for facts in unique)
    return (
        f"<li>{images}<div><code>{escape(report.shorten_path(finding.place))}</code> "
        f'{escape(finding.message)}<p class="soft">{escape(finding.remedy)}</p></div></li>'
    )


def _gallery(images: Sequence[ImageFacts]) -> Iterable[str]:
    for split in dict.fromkeys(facts.split for facts in images):
        part = [facts for facts in images if facts.split == split]
        step = max(1.0, len(part) / _GALLERY)
        chosen = [part[int(index * step)] for index in range(min(len(part), _GALLERY))]
        of = f" {len(chosen)} of {len(part)}, evenly chosen" if len(chosen) < len(part) else ""
        yield f'<h2>{split}<span class="soft">{of}</span></h2><div class="gallery">'
        for facts in chosen:
            yield (
                f"<figure>{_picture(facts)}<figcaption>{escape(facts.stem)}<br>"
                f"{facts.shape[1]} x {facts.shape[0]}, {facts.mask.foreground:.1%} foreground, "
                f"{len(facts.mask.sides)} objects</figcaption></figure>"
            )
        yield "</div>"


def _picture(facts: ImageFacts) -> str:
    data = base64.b64encode(facts.preview).decode("ascii")
    return f'<img alt="{escape(facts.stem)}" src="data:image/jpeg;base64,{data}">'
