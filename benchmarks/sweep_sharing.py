"""How much faster several workers are than one, sharing a study on a PostgreSQL server.

    python benchmarks/sweep_sharing.py [--trials 30] [--workers 3] [--trial-seconds 4]

Trials wait instead of computing, as if each worker had a machine of its own: what is measured is
the engine (claiming, storage, tracking, processes), not how many processors there are. Starts a
server of its own on 127.0.0.1 (PostgreSQL must be installed) and works in a temporary folder.
Prints the seconds from the first trial's beginning to the last one's end, and their ratio.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna

from tiledseg.tuning.execution.retries import list_counted
from tiledseg.tuning.study.storage import check_url, open_storage

TESTS = Path(__file__).resolve().parents[1] / "tests" / "tuning"
sys.path.insert(0, str(TESTS))

from postgresql_server import find_binaries, postgresql_server  # noqa: E402

EPOCHS = 4


def seconds_of(workers: int, options: argparse.Namespace, address: str) -> float:
    """Wall time of a study's trials, searched by so many worker processes."""
    study = f"with-{workers}"
    told = {
        "trials": options.trials,
        "workers": workers,
        "storage": address,
        "study": study,
        "pruner": "none",
    }
    plan = {"epoch_seconds": options.trial_seconds / EPOCHS}
    environment = {**os.environ, "FAKE_TRIAL": json.dumps(plan)}
    command = [sys.executable, str(TESTS / "sweep_process.py"), json.dumps(told)]
    subprocess.run(command, env=environment, check=True)
    storage = open_storage(check_url(address))
    trials = optuna.load_study(study_name=study, storage=storage).get_trials()
    complete = [trial for trial in list_counted(trials) if trial.state.name == "COMPLETE"]
    if not len(complete) == len(trials) == options.trials:
        sys.exit(f"{len(complete)} complete of {len(trials)} trials instead of {options.trials}")
    began = min(trial.datetime_start for trial in complete if trial.datetime_start)
    ended = max(trial.datetime_complete for trial in complete if trial.datetime_complete)
    return (ended - began).total_seconds()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--trial-seconds", type=float, default=4.0)
    options = parser.parse_args()

    binaries = find_binaries()
    if binaries is None:
        sys.exit("PostgreSQL is not installed: apt-get install postgresql")
    with (
        tempfile.TemporaryDirectory(prefix="tiledseg-benchmark-") as place,
        postgresql_server(binaries) as address,
    ):
        os.chdir(place)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{place}/mlflow.db"
        shared = seconds_of(options.workers, options, address)
        alone = seconds_of(1, options, address)
        print(
            f"{options.trials} trials of {options.trial_seconds:g} s that wait: "
            f"1 worker {alone:.1f} s, {options.workers} workers {shared:.1f} s, "
            f"{alone / shared:.2f} times as fast"
        )
        os.chdir("/")


if __name__ == "__main__":
    main()
