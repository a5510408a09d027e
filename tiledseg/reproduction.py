"""Training again what a run has trained, from what the store holds, and comparing the figures."""

import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tiledseg.data.dataset import Dataset, data_root, load_dataset
from tiledseg.errors import DatasetError, TrackingError
from tiledseg.pipeline import EVALUATED_SPLITS, PipelineObserver, RepeatedTraining, train
from tiledseg.tracking.names import is_reproducible
from tiledseg.tracking.provenance import compare_environments, digest_files
from tiledseg.tracking.revision import Code, open_checkout, read_code
from tiledseg.tracking.run_record import RunRecord, read_record
from tiledseg.training.replay import parse_rates
from tiledseg.training.stopping import StopRequest

logger = logging.getLogger(__name__)

TOLERANCE = 1e-6
"""Figures that differ by less are the same: absolutely below 1, relatively above."""
_MOST_NAMED = 10


@dataclass(frozen=True)
class Difference:
    """A figure that two runs do not share.

    Attributes:
        figure: The metric.
        epoch: From 1; None for a figure of the whole run.
        first: In the run that was repeated; None where it has none.
        second: In the repetition; None where it has none.
    """

    figure: str
    epoch: int | None
    first: float | None
    second: float | None

    @property
    def size(self) -> float:
        """By how much; infinite where one of the two is missing."""
        if self.first is None or self.second is None:
            return math.inf
        return abs(self.second - self.first)


@dataclass(frozen=True)
class Reproduction:
    """What came of training again.

    Attributes:
        run_id: The new run.
        reproduces: The run that was repeated.
        compared: How many figures were compared.
        differences: Figures that are not the same: those of epochs first, in order.
        reasons: What they may come from, one line each; empty where there are none.
    """

    run_id: str
    reproduces: str
    compared: int
    differences: Sequence[Difference]
    reasons: Sequence[str]


def reproduce(
    run_id: str,
    observers: Sequence[PipelineObserver] = (),
    *,
    with_this_code: bool = False,
    root: Path | None = None,
    stop: StopRequest | None = None,
) -> Reproduction:
    """Train again what a run has trained, in a new run, and compare their figures.

    Settings, learning rates and digests of the data are the run's own; nothing is registered.

    Args:
        run_id: A training that ended well.
        observers: Told what happens.
        with_this_code: Go on where the run was made by other code.
        root: Folder of datasets; by default ``TILEDSEG_DATA`` or ./data.
        stop: Set by whoever wants the training to stop at the end of the step.

    Raises:
        TrackingError: There is no such run, it is no training that ended well, or other code
            made it.
        DatasetError: The data are not those of the run; the files are named.
        StoppedError: It was asked to stop; nothing was compared.
    """
    first = read_record(run_id)
    if not with_this_code:
        refuse_other_code(first, read_code())
    rates = parse_rates(first.rates, f"run {run_id}")
    _refuse_short_epochs(rates, first)
    dataset = load_dataset(first.experiment.dataset, root or data_root())
    refuse_other_data(first, dataset)
    result = train(
        # The same network again is no new version.
        first.experiment.override({"tracking.register_model": False}),
        observers,
        root=root,
        repeated=RepeatedTraining(run_id, rates),
        splits=[split for split in EVALUATED_SPLITS if _has_split(first, split)],
        stop=stop,
    )
    second = read_record(result.run_id)
    compared, differences = compare_runs(first, second)
    reasons = explain_differences(first, second) if differences else []
    return Reproduction(result.run_id, run_id, compared, differences, reasons)


def reproduce_in_checkout(run_id: str) -> int | None:
    """Run ``tiledseg reproduce`` with the code of the run, where that is not the code here.

    The main thread must call it, since signals are passed on.

    Args:
        run_id: A training that ended well.

    Returns:
        The command's exit code; None where the code here is the run's, or its own is not at hand.

    Raises:
        TrackingError: There is no such run, or it is no training that ended well.
    """
    code = read_record(run_id).code
    if code == read_code():
        return None
    with open_checkout(code) as folder:
        if folder is None:
            return None
        logger.warning("run %s was made by %s, which trains it again", run_id, code)
        return _run_command(folder, "reproduce", run_id, "--with-this-code")


def refuse_other_code(run: RunRecord, here: Code) -> None:
    """Refuse code that is not, or not known to be, the run's.

    Raises:
        TrackingError: Revision or changes differ.
    """
    if run.code == here and (here.revision or _is_same_version(run)):
        return
    remedy = (
        f"run the command in a checkout of {run.code.revision}"
        + (", with the run's code.diff applied" if run.code.diff else "")
        if run.code.revision
        else "use the tiledseg that made it"
    )
    raise TrackingError(
        f"run {run.run_id} was made by {run.code}, and this is {here}; {remedy}, or add "
        "--with-this-code"
    )


def refuse_other_data(run: RunRecord, dataset: Dataset) -> None:
    """Refuse data that are not the run's.

    Raises:
        DatasetError: Files differ, are missing, are new or lie in another split; at most ten are
            named.
    """
    found = digest_files(dataset, run.experiment.dataset)
    changes = describe_changes(run.data, found)
    if not changes:
        return
    more = f" and {len(changes) - _MOST_NAMED} more" if len(changes) > _MOST_NAMED else ""
    raise DatasetError(
        f"{dataset.folder}: the data are not those of run {run.run_id}: "
        f"{'; '.join(changes[:_MOST_NAMED])}{more}; put those files back, or point TILEDSEG_DATA "
        "to the data of the run"
    )


def describe_changes(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """What changed between two tables of ``provenance.digest_files``; one text per pair."""
    old, new = (_rows_by_pair(table) for table in (before, after))
    splits = {stem: split for split, stem in new}
    changes = []
    for (split, stem), (image, mask) in old.items():
        if (split, stem) in new:
            there = new[split, stem]
            names = [
                name
                for name, was, is_ in zip(("image", "mask"), (image, mask), there, strict=True)
                if was != is_
            ]
            if names:
                changes.append(f"{split} {stem}: another {' and '.join(names)}")
        elif stem in splits and (splits[stem], stem) not in old:
            changes.append(f"{split} {stem}: lies in {splits[stem]} now")
        else:
            changes.append(f"{split} {stem}: missing")
    moved = {stem for split, stem in old if (split, stem) not in new}
    changes += [
        f"{split} {stem}: new"
        for split, stem in new
        if (split, stem) not in old and stem not in moved
    ]
    return changes


def compare_runs(first: RunRecord, second: RunRecord) -> tuple[int, list[Difference]]:
    """Compare the metrics of every epoch, then the final ones.

    Returns:
        How many figures were compared, and those that differ by more than ``TOLERANCE``.
    """
    old, new = (_list_figures(run) for run in (first, second))
    keys = dict.fromkeys([*old, *new])
    differences = [
        Difference(figure, epoch, old.get((epoch, figure)), new.get((epoch, figure)))
        for epoch, figure in keys
        if not _is_same(old.get((epoch, figure)), new.get((epoch, figure)))
    ]
    return len(keys), differences


def explain_differences(first: RunRecord, second: RunRecord) -> list[str]:
    """What the figures of a repetition may differ by: all that is not the same, line by line."""
    lines = compare_environments(first.tags, second.tags)
    if first.code.diff != second.code.diff and first.code.diff and second.code.diff:
        lines.append(f"changes of the code: {first.code} -> {second.code}")
    if not lines:
        lines = [
            "code, packages, machine, threads, arithmetic and data are the same: what is left is "
            "the order in which threads or a graphics card add up numbers"
        ]
    return lines


def _run_command(checkout: Path, *words: str) -> int:
    """Run tiledseg from a checkout, in this folder; returns its exit code."""
    path = os.pathsep.join(filter(None, (str(checkout), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", "tiledseg", *words]  # -P: this folder may hold another
    # In a session of its own, so that Ctrl-C reaches it once, through here.
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, start_new_session=True
    )
    kept = {
        number: signal.signal(number, lambda sent, _: process.send_signal(sent))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        code = process.wait()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _refuse_short_epochs(rates: Sequence[Sequence[float]], run: RunRecord) -> None:
    """A training that went on after its clock had ended an epoch early drew from there anew."""
    steps = run.experiment.training.steps_per_epoch
    short = [number for number, epoch in enumerate(rates[:-1], 1) if len(epoch) != steps]
    if short:
        raise TrackingError(
            f"run {run.run_id} went on after its clock had ended epoch {short[0]} early, which "
            "cannot be trained again in one go; reproduce a run that was trained in one go"
        )


def _is_same_version(run: RunRecord) -> bool:
    from tiledseg import __version__  # noqa: PLC0415  # asked for at a call, it is the current one

    return run.versions.get("tiledseg") == __version__


def _has_split(run: RunRecord, split: str) -> bool:
    return any(name.startswith(f"{split}/") for name in run.metrics)


def _rows_by_pair(table: pd.DataFrame) -> dict[tuple[str, str], tuple[str, str]]:
    columns = (table[name].astype(str) for name in ("split", "stem", "image", "mask"))
    return {(split, stem): (image, mask) for split, stem, image, mask in zip(*columns, strict=True)}


def _list_figures(run: RunRecord) -> Mapping[tuple[int | None, str], float]:
    """Every figure of a run by epoch and name; None is the epoch of final ones.

    One that is not defined, as a score of a class that is nowhere, is none: its cell is empty.
    """
    figures: dict[tuple[int | None, str], float] = {}
    for row in run.history.to_dict("records"):
        epoch = int(row["epoch"])
        figures |= {(epoch, str(name)): float(row[name]) for name in row if name != "epoch"}
    final = {name: value for name, value in run.metrics.items() if is_reproducible(name)}
    figures |= {(None, name): value for name, value in sorted(final.items())}
    return {key: value for key, value in figures.items() if not math.isnan(value)}


def _is_same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return False
    return math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
