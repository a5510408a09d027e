"""Output of the commands: progress bars while they work, results when they are done."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
)
from rich.table import Table

from tiledseg.config.durations import format_duration
from tiledseg.tracking.names import (
    MODES,
    SCORES,
    SPEED,
    final_metric,
    images_metric,
    is_seam_figure,
    list_scored_classes,
)

if TYPE_CHECKING:
    from tiledseg.data.dataset import Dataset
    from tiledseg.data.integrity import DatasetSummary
    from tiledseg.evaluation.evaluate import ImageEvaluation
    from tiledseg.prediction.naming import PredictedImage
    from tiledseg.training.observer import EpochPicture, EpochReport
    from tiledseg.training.session import SavedTraining

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def show_error(message: str) -> None:
    """One line on standard error."""
    errors.print(f"[bold red]tiledseg:[/] {_escape(message)}")


def progress_bar() -> Progress:
    """A progress bar; it draws on a terminal only."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def counting_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; yields what is told how many are done, and how many there are."""
    with progress_bar() as progress:
        task = progress.add_task(label, total=None, note="")
        yield lambda done, of: progress.update(task, completed=done, total=of)


class ConsoleObserver:
    """Shows a training or an evaluation; use it as a context manager."""

    def __init__(self) -> None:
        self._progress = progress_bar()
        self._task: TaskID | None = None
        self._note = ""
        self.run_id = ""
        """The MLflow run; empty before there is one."""

    def __enter__(self) -> "ConsoleObserver":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_run_start(self, run_id: str) -> None:
        """Name the run."""
        self.run_id = run_id
        show_line(f"run         {run_id}")

    def on_dataset(self, dataset: "Dataset", summary: "DatasetSummary") -> None:
        """Say what there is to learn from."""
        for split, part in summary.splits.items():
            show_line(
                f"{split:<11} {part.images} images, {part.megapixels:.1f} megapixels, "
                f"{100 * part.foreground:.2f} % foreground"
            )
        show_line(f"digest      {dataset.digest}")

    def on_batch_end(
        self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]
    ) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._progress.add_task("", total=batches, note="")
        note = f"loss {metrics.get('loss', 0.0):.4f}  {self._note}"
        self._progress.update(
            self._task, description=f"epoch {epoch}", total=batches, completed=batch, note=note
        )

    def on_epoch_end(self, report: "EpochReport") -> None:
        """Print one line for the epoch."""
        metrics = report.metrics
        self._note = f"at most {format_duration(report.remaining)} left"
        show_line(
            f"epoch {report.epoch:>3}/{report.epochs}  loss {metrics['loss']:.4f}  "
            f"val_loss {metrics['val_loss']:.4f}  val_dice {format_score(metrics['val_dice'])}"
            f"{' *' if report.is_best else '  '}  rate {metrics['learning_rate']:.1e}  "
            f"{format_duration(report.elapsed)} gone, {self._note}"
        )

    def on_saved(self, saved: "SavedTraining") -> None:
        """Nothing."""

    def on_epoch_masks(self, picture: "EpochPicture") -> None:
        """Nothing: pictures are for the run."""

    def on_image(self, evaluation: "ImageEvaluation") -> None:
        """Print one line for the image."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        dice = {mode: scores["dice"] for mode, scores in evaluation.scores.items()}
        shown = "  ".join(f"{mode} {format_score(value)}" for mode, value in dice.items())
        show_line(f"{evaluation.split:<6} {evaluation.sample.stem:<24} Dice  {shown}")


def show_scores(metrics: Mapping[str, float]) -> None:
    """A table of final scores, tiled beside resized; of several classes with the Dice of each.

    Beside each stands the number of images that have it, see ``tracking.names``.
    """
    classes = list_scored_classes(metrics)
    scores = (SCORES[0], *(f"{SCORES[0]}/{name}" for name in classes), *SCORES[1:], SPEED)
    table = Table(title="mean over images", title_justify="left")
    table.add_column("split")
    table.add_column("score")
    for mode in MODES:
        table.add_column(mode, justify="right")
        table.add_column("images", justify="right")
    for split in dict.fromkeys(name.split("/")[0] for name in metrics):
        for score in scores:
            cells = [
                cell for mode in MODES for cell in _score(metrics, final_metric(split, mode, score))
            ]
            table.add_row(split, _escape(score), *cells, end_section=score == scores[-1])
    console.print(table)
    seams = {name: value for name, value in metrics.items() if is_seam_figure(name)}
    width = max(map(len, seams), default=0)
    for name, value in seams.items():
        images = metrics.get(images_metric(name))
        of = "" if images is None else f"  ({images:.0f} image{'s' if images != 1 else ''})"
        show_line(f"{name:<{width}}  {value:.3g}{of}")


def format_score(value: float | None) -> str:
    """Four digits after the point; a dash where a score is not defined."""
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"


def _score(metrics: Mapping[str, float], name: str) -> tuple[str, str]:
    """A score and its number of images, as cells; both empty where nothing is known of it."""
    images = metrics.get(images_metric(name))
    if name not in metrics and images is None:
        return "", ""
    return format_score(metrics.get(name)), "" if images is None else f"{images:.0f}"


class PredictionScreen:
    """Shows masks as they are made; use it as a context manager."""

    def __init__(self) -> None:
        self._progress = progress_bar()
        self._task: TaskID | None = None

    def __enter__(self) -> "PredictionScreen":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tiles_finished(self, image: Path, done: int, total: int) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._progress.add_task("", note="")
        note = "writing" if done == total else "tiles"
        self._progress.update(
            self._task, description=_escape(image.name), total=total, completed=done, note=note
        )

    def image_written(self, file: "PredictedImage") -> None:
        """Print one line for a mask."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        parts = [
            f"{file.mask}  {100 * file.foreground:.2f} % foreground, {file.objects} objects, "
            f"{file.megapixels / file.seconds:.1f} megapixels/s"
        ]
        if file.resumed:
            parts.append(f"{100 * file.resumed / file.tiles:.0f} % had been done before")
        if file.skipped:
            parts.append(f"{100 * file.skipped / file.tiles:.0f} % of tiles left out")
        show_line(", ".join(parts))


def show_line(text: str) -> None:
    """A plain line, never folded."""
    console.print(_escape(text), soft_wrap=True)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
