"""The search for better settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tiledseg.cli.app import app
from tiledseg.cli.arguments import (
    DatasetName,
    ExperimentFile,
    Overrides,
    choose_experiment,
    experiments_folder,
)
from tiledseg.cli.console import show_line
from tiledseg.cli.sweep_options import take_sweep_options
from tiledseg.cli.sync import send_leftovers
from tiledseg.cli.train import show_run, train_and_show
from tiledseg.errors import SweepError
from tiledseg.tracking.names import CHAMPION_METRIC
from tiledseg.tuning.options import SweepOptions

if TYPE_CHECKING:
    from tiledseg.tuning.results.report import StudyResult


@app.command(epilog="Example: tiledseg sweep --dataset Tiled-Cell --trials 40 --trial-minutes 4")
@take_sweep_options
def sweep(
    *,
    dataset: DatasetName = "",
    experiment: ExperimentFile = "",
    set_: Overrides = None,
    space: Annotated[
        str, typer.Option(help="Search space: a YAML, or the name of one in experiments/sweeps/.")
    ] = "default",
    options: SweepOptions,
    retrain: Annotated[
        Literal["yes", "no"], typer.Option(help="Train the best in full, and register it.")
    ] = "no",
    candidates: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many to train in full with --retrain, the experiment's own settings among "
            "them; the best of these is kept.",
        ),
    ] = 1,
) -> None:
    """Search for better settings; the same command goes on, and shares the study."""
    from tiledseg.cli.sweep_screen import SweepScreen, show_study  # noqa: PLC0415
    from tiledseg.tuning.search.space import load_space  # noqa: PLC0415
    from tiledseg.tuning.sweep import sweep as run_sweep  # noqa: PLC0415

    chosen = choose_experiment(dataset, experiment, set_)
    _check_retraining(candidates, retrain, options.objectives)
    searched = load_space(_find_space_file(space))
    send_leftovers()
    with SweepScreen() as screen:
        result = run_sweep(chosen, searched, options, screen, export_to=experiments_folder())
    show_study(result)
    show_run(result.run_id)
    if retrain == "yes" and result.ranking:
        _retrain(result, candidates)


def _find_space_file(space: str) -> Path:
    """The file of a space that is given by its path, or by its name in experiments/sweeps/."""
    named, given = experiments_folder() / "sweeps" / f"{space}.yaml", Path(space)
    is_name = named.is_file() or not (given.suffix or given.is_file())
    return named if is_name else given


def _check_retraining(candidates: int, retrain: str, objectives: Sequence[str]) -> None:
    if candidates == 1:
        return
    if retrain != "yes":
        raise SweepError(f"--candidates is {candidates}; pass --retrain yes, too, or leave it out")
    if len(objectives) > 1:
        raise SweepError("--candidates needs one objective; leave it out to keep the Pareto front")


def _retrain(result: "StudyResult", count: int) -> None:
    """Train the best few in full, each on one machine, and keep the best of them."""
    from tiledseg.tuning.results.candidates import Candidate, choose_candidates  # noqa: PLC0415
    from tiledseg.tuning.results.export import export_experiment  # noqa: PLC0415
    from tiledseg.tuning.results.retraining import Retraining  # noqa: PLC0415

    def train(candidate: Candidate) -> tuple[str, float]:
        show_line(f"candidate   trial {candidate.number}, {candidate.value:.4f} as a trial")
        trained = train_and_show(candidate.experiment)
        if CHAMPION_METRIC not in trained.metrics:
            raise SweepError(
                f"run {trained.run_id} of trial {candidate.number} has no {CHAMPION_METRIC}: no "
                "validation image has a class in target or prediction; add some that have one"
            )
        return trained.run_id, trained.metrics[CHAMPION_METRIC]

    def wait(numbers: list[int]) -> None:
        names = " and ".join(f"trial {number}" for number in numbers)
        show_line(f"waiting     {names}: trained in full by another command")

    chosen = choose_candidates(result.ranking, count)
    retrained = Retraining(result.study, result.storage, result.run_id).run(chosen, train, wait)
    for one in retrained:
        show_line(
            f"retrained   trial {one.number}: {CHAMPION_METRIC} {one.score:.4f}, "
            f"{one.value:.4f} as a trial"
        )
    if len(retrained) == 1:
        return  # it is written already
    best = retrained[0]
    experiment = next(one.experiment for one in chosen if one.number == best.number)
    note = (
        f"Found by study {result.study}: trial {best.number}, the best of {len(retrained)} that "
        f"were trained in full.\n{CHAMPION_METRIC} {best.score:.4f}, run {best.run_id}."
    )
    show_line(f"experiment  {export_experiment(experiment, experiments_folder(), note)}")
