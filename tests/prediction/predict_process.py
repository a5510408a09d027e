"""A prediction in a process of its own, to be killed. Run by a fork server that knows Keras.

Every batch leaves a line with its number of tiles in a log before it is computed, and takes a
moment, so that there is a middle to be killed in.
"""

import os
import random
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fork_server import start_forked

from tiledseg.prediction.options import PredictionOptions

TILES_AT_ONCE = 2


@dataclass(frozen=True)
class Work:
    """A prediction to be done."""

    model: Path
    image: Path
    output: Path
    log: Path
    options: dict[str, Any] = field(default_factory=dict)
    seconds_per_batch: float = 0.03
    max_tile: int = 64

    def begun(self) -> list[int]:
        """Tiles in each batch that was begun, over all starts so far."""
        return [int(line) for line in self.log.read_text().split()] if self.log.exists() else []


def predict_here(work: Work) -> None:
    """Do the work in this process."""
    from tiledseg.prediction import job
    from tiledseg.prediction.predictor import Predictor
    from tiledseg.tiling.execution import streaming

    run_stages = streaming.run_stages

    def watched_stages(produce, compute, consume):
        def watched(batch):
            with work.log.open("a") as log:
                log.write(f"{len(batch[0])}\n")
            time.sleep(work.seconds_per_batch)
            return compute(batch)

        run_stages(produce, watched, consume)

    streaming.run_stages = watched_stages
    streaming.BATCH_PIXELS = TILES_AT_ONCE * work.max_tile**2
    job.LARGE = 0.0  # small images are predicted in memory else, and there is nothing to resume
    job.predict_image(
        Predictor.load(work.model), work.image, work.output, PredictionOptions(**work.options)
    )


def start(work: Work) -> BaseProcess:
    """Begin the work in a process of its own."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return start_forked(predict_here, (work,), ["tiledseg.prediction.job", __name__])


def kill_somewhere(work: Work, dice: random.Random, tiles: int, kills: int) -> int:
    """Begin the work and kill it after some batches of its own; returns the exit code.

    Args:
        work: What to do.
        dice: Chooses the moment.
        tiles: That the image has in all.
        kills: How many there are to be, this one included, which leave work for one another.
    """
    before = len(work.begun())
    left = (tiles - sum(work.begun())) // TILES_AT_ONCE
    wanted = dice.randint(1, max(1, 2 * left // (kills + 2)))
    process = start(work)
    while process.is_alive() and len(work.begun()) < before + wanted:
        time.sleep(0.002)
    time.sleep(dice.uniform(0.0, work.seconds_per_batch))
    process.kill()
    process.join()
    return int(process.exitcode or 0)
