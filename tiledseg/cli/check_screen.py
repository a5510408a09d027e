"""What ``check`` prints: numbers, findings, summary."""

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tiledseg.checking.finding import Report, Severity, group_by_kind
from tiledseg.checking.page import summarize
from tiledseg.checking.summary import mask_values, split_numbers
from tiledseg.cli.console import console, show_line

_MOST_VALUES = 16
_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def show_report(report: Report) -> None:
    """Numbers, then all findings, grouped by kind, and the summary last."""
    show_line(f"{report.name}  {report.folder}")
    console.print(_numbers(report))
    if report.images:
        show_line(f"mask values {_values(report)}")
    for findings in group_by_kind(report.findings):
        severity, code = findings[0].severity, findings[0].code
        console.print()
        console.print(f"[{_STYLES[severity]}]{severity:<8}[/] [bold]{code}[/]  {len(findings)}")
        remedies = {finding.remedy for finding in findings}
        for finding in findings:
            _show_indented(f"{report.shorten_path(finding.place)}: {finding.message}", 2)
            if len(remedies) > 1:
                _show_indented(f"-> {finding.remedy}", 4)
        if len(remedies) == 1:
            _show_indented(f"-> {findings[0].remedy}", 4)
    console.print()
    style = "bold green" if report.is_sound else "bold red"
    console.print(f"[{style}]{escape(summarize(report))}[/]", soft_wrap=True)


def _numbers(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("split")
    for heading in ("images", "megapixels", "foreground", "objects", "median side", "brightness"):
        table.add_column(heading, justify="right")
    for row in split_numbers(report.images):
        table.add_row(
            row.split + (" *" if report.drawn else ""),
            str(row.images),
            f"{row.megapixels:.1f}",
            f"{row.foreground:.2%}",
            str(row.objects),
            f"{row.sides[1]:.0f} px",
            f"{row.brightness[1]:.0f}",
        )
    if report.drawn:
        table.caption = "* splits without a folder are drawn by source image"
        table.caption_justify = "left"
    return table


def _values(report: Report) -> str:
    """Numbers in the masks, each with its share of all pixels."""
    values = mask_values(report.images)
    if not values:
        return "are not listed: colors, pages, or a format that changes them"
    if len(values) > _MOST_VALUES:
        return f"{len(values)} from {values[0][0]} to {values[-1][0]}"
    return ", ".join(f"{value}: {share:.2%}" for value, share in values)


def _show_indented(text: str, indent: int) -> None:
    """Fold at the terminal's width, keeping the indent; in a file, one line for one finding."""
    if not console.is_terminal:
        show_line(" " * indent + text)
        return
    for line in Text(text).wrap(console, max(20, console.width - indent)):
        console.print(" " * indent, line, sep="", highlight=False)
