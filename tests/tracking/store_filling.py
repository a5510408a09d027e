"""Runs for tests to look at."""

import time

from mlflow.entities import Param


def add_run(client, name="Tiny", start=0, status="FINISHED", tags=None, **params):
    """Make a run that has ended; returns its id."""
    found = client.get_experiment_by_name(name)
    experiment = found.experiment_id if found else client.create_experiment(name)
    run = client.create_run(experiment, start or int(time.time() * 1000), tags or {}).info.run_id
    client.log_batch(run, params=[Param(key, str(value)) for key, value in params.items()])
    if status != "RUNNING":
        client.set_terminated(run, status, (start or int(time.time() * 1000)) + 2000)
    return run
