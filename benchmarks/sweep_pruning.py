"""How many epochs pruning saves, what it costs in the best objective, and a trial's overhead.

    python benchmarks/sweep_pruning.py [--trials 20] [--epochs 9] [--seeds 1]
    python benchmarks/sweep_pruning.py --dataset NAME [--set KEY=VALUE]

Two studies per seed on the same space with the same sampler, one pruned and one not, each trial a
real training. Prints epochs and best objective of both, their ratio and difference, and the
median of the seconds per complete trial outside training and evaluation. Works in a temporary
folder. Without --dataset, small smears are drawn there, and networks are small, too; a dataset
of one's own is read from ``TILEDSEG_DATA`` or ./data.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import optuna

from tiledseg.cli.sweep_screen import SweepScreen
from tiledseg.config.experiment import load_experiment
from tiledseg.data.dataset import data_root
from tiledseg.tuning.execution.retries import list_counted
from tiledseg.tuning.options import SweepOptions
from tiledseg.tuning.search.space import load_space
from tiledseg.tuning.sweep import sweep

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
SMALL = (
    "dataset.name=Synthetic-Small",
    "dataset.synthetic.size=512",
    "image.size=128",
    "model.base_filters=8",
    "model.num_layers=3",
    "model.reduction=2",
    "training.steps_per_epoch=40",
    "training.validation_tiles=32",
    "training.max_minutes=null",
)
"""Changes to Synthetic-Cell that make a trial a matter of seconds, and of epochs alone."""


def searched(options: argparse.Namespace, pruner: str, seed: int, root: Path) -> tuple[int, float]:
    """Run one study; returns the epochs of all trials and the best objective."""
    name = options.dataset or "Synthetic-Cell"
    experiment = load_experiment(EXPERIMENTS / f"{name}.yaml", options.set)
    space = load_space(options.space)
    with SweepScreen() as screen:
        result = sweep(
            experiment,
            space,
            SweepOptions(
                study=study_name(pruner, seed),
                trials=options.trials,
                workers=options.workers,
                sampler=options.sampler,
                pruner=pruner,
                seed=seed,
                trial_epochs=options.epochs,
            ),
            screen,
            root=root,
        )
    best = result.best.values[0] if result.best else 0.0
    return sum(row.epochs for row in result.progress.rows), best


def study_name(pruner: str, seed: int) -> str:
    """One study for each pruner and seed."""
    return f"{pruner}-{seed}"


def overheads(names: Sequence[str]) -> list[float]:
    """Seconds of complete trials outside training and evaluation."""
    found = []
    for name in names:
        study = optuna.load_study(study_name=name, storage="sqlite:///sweeps.db")
        for trial in list_counted(study.get_trials()):
            if "overhead_seconds" in trial.user_attrs:
                found.append(float(trial.user_attrs["overhead_seconds"]))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="")
    parser.add_argument("--space", type=Path, default=Path(__file__).with_suffix(".yaml"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--pruner", default="asha")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    options.space = options.space.resolve()

    root = data_root().resolve()
    if not options.dataset:
        options.set = [*SMALL, *options.set]
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory(prefix="tiledseg-benchmark-") as place:
        os.chdir(place)
        if not options.dataset:
            root = Path(place) / "data"
            os.environ["TILEDSEG_CACHE"] = str(Path(place) / "cache")
        names = []
        for seed in range(options.seeds):
            pruned = searched(options, options.pruner, seed, root)
            full = searched(options, "none", seed, root)
            names += [study_name(options.pruner, seed), study_name("none", seed)]
            print(
                f"seed {seed}: {options.pruner} {pruned[0]} epochs, best {pruned[1]:.4f}; "
                f"none {full[0]} epochs, best {full[1]:.4f}; "
                f"epochs {pruned[0] / full[0]:.2f}, best {pruned[1] - full[1]:+.4f}"
            )
        seconds = overheads(names)
        print(
            f"overhead per trial: median {statistics.median(seconds):.1f} s, "
            f"largest {max(seconds):.1f} s, of {len(seconds)} complete trials"
        )
        os.chdir("/")


if __name__ == "__main__":
    main()
