"""The arithmetic of a training: timed with the network's own step on this machine, and remembered.

What is fastest depends on processor, versions and network, and cannot be told beforehand: bfloat16
took from half to three times the time of float32, and XLA from three quarters to three times. So
each is timed, in short rounds one after the other, since a machine is slow at times.
"""

import hashlib
import json
import logging
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tiledseg.backend import (
    Arithmetic,
    assume_arithmetic,
    count_threads,
    describe_devices,
    describe_processor,
    list_arithmetics,
    needs_xla,
)
from tiledseg.config.experiment import Experiment
from tiledseg.config.regular_files import read_json
from tiledseg.data.cache import default_cache_folder
from tiledseg.errors import OutputError
from tiledseg.images.atomic import atomic_file

ROUNDS = 5
TIE = 1.05
"""An arithmetic that takes at most so many times as long as the fastest is as fast."""
HOPELESS = 2.0
"""One whose first timed step takes so many times as long as the fastest is not timed again."""
_ROUND_SECONDS, _MOST_STEPS = 0.2, 10
_MEMORY_FILE = "arithmetic.json"
_MOST_REMEMBERED = 1000
_PACKAGES = ("tensorflow", "jax", "keras")

logger = logging.getLogger(__name__)

MakeStep = Callable[[Arithmetic], Callable[[], None]]
"""Makes a training step of an arithmetic, ready to be called again and again."""


@dataclass(frozen=True)
class TimedArithmetic:
    """What a training step took.

    Attributes:
        arithmetic: How it was computed.
        seconds: Of one step, the median of the rounds.
    """

    arithmetic: Arithmetic
    seconds: float


@dataclass(frozen=True)
class ChosenArithmetic:
    """What a training computes in, and why.

    Attributes:
        arithmetic: What was chosen.
        timed: What was compared; empty where it was set or guessed.
    """

    arithmetic: Arithmetic
    timed: Sequence[TimedArithmetic] = ()

    def apply(self, experiment: Experiment) -> Experiment:
        """The experiment with the choice in place of ``auto``."""
        chosen = {
            "training.precision": self.arithmetic.precision,
            "training.xla": self.arithmetic.xla,
        }
        return experiment.override(chosen)

    def describe(self) -> str:
        """The timings in one line, milliseconds per step; empty without any."""
        return ", ".join(f"{each.arithmetic} {1000 * each.seconds:.0f} ms" for each in self.timed)


def choose_arithmetic(
    experiment: Experiment, make_step: MakeStep, *, may_time: bool = True
) -> ChosenArithmetic:
    """What a training of an experiment computes in on this machine.

    Args:
        experiment: Its ``training.precision`` and ``training.xla`` may leave the choice to us.
        make_step: Makes steps to time.
        may_time: Whether steps are timed where none of this network are remembered. Without it,
            what was chosen last for another network is taken.
    """
    settings = experiment.training
    if settings.precision != "auto":
        xla = needs_xla() if settings.xla is None else settings.xla
        return ChosenArithmetic(Arithmetic(settings.precision, xla))
    candidates = [each for each in list_arithmetics() if settings.xla in (None, each.xla)] or [
        Arithmetic("float32", bool(settings.xla))
    ]
    if len(candidates) == 1:
        return ChosenArithmetic(candidates[0])
    memory = TimingMemory(default_cache_folder() / _MEMORY_FILE)
    key = _describe_network(experiment)
    timed = memory.find(key, candidates)
    if not timed and may_time:
        timed = time_steps(candidates, make_step)
        if timed:
            memory.add(key, timed)
    if not timed:
        timed = memory.find_last(candidates)
    if not timed:
        guessed = assume_arithmetic()
        return ChosenArithmetic(guessed if guessed in candidates else candidates[0])
    chosen = ChosenArithmetic(pick_fastest(timed), timed)
    logger.info("training in %s: %s per step", chosen.arithmetic, chosen.describe())
    return chosen


def pick_fastest(timed: Sequence[TimedArithmetic]) -> Arithmetic:
    """The fastest; of those that are as fast, the one that stands first, the safest."""
    best = min(each.seconds for each in timed)
    return next(each.arithmetic for each in timed if each.seconds <= TIE * best)


def time_steps(
    candidates: Sequence[Arithmetic],
    make_step: MakeStep,
    clock: Callable[[], float] = time.perf_counter,
) -> list[TimedArithmetic]:
    """Time a training step in each arithmetic, in short rounds one after the other.

    Args:
        candidates: What to time.
        make_step: Makes a step; its first call compiles. One that fails, as for want of memory, is
            left out, and said.
        clock: Tells seconds.

    Returns:
        Those that were timed, in the order given.
    """

    def measure(step: Callable[[], None], steps: int) -> float:
        began = clock()
        for _ in range(steps):
            step()
        return (clock() - began) / steps

    steps: dict[Arithmetic, Callable[[], None]] = {}
    first: dict[Arithmetic, float] = {}
    for each in candidates:
        try:
            step = make_step(each)
            step()
            first[each] = measure(step, 1)
        except Exception as error:  # noqa: BLE001 - each backend has its own, of memory most of all
            logger.warning("%s cannot be timed (%s)", each, " ".join(str(error).split())[:200])
            continue
        if first[each] <= HOPELESS * min(first.values()):
            steps[each] = step
    if not steps:
        return []
    count = int(np.clip(_ROUND_SECONDS / max(min(first.values()), 1e-6), 1, _MOST_STEPS))
    rounds = [{each: measure(step, count) for each, step in steps.items()} for _ in range(ROUNDS)]
    return [
        TimedArithmetic(
            each, statistics.median(one[each] for one in rounds) if each in steps else first[each]
        )
        for each in candidates
        if each in first
    ]


class TimingMemory:
    """A file of timings, by machine and network.

    Args:
        path: The file; made when there is something to remember.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, key: str, candidates: Sequence[Arithmetic]) -> list[TimedArithmetic]:
        """What is remembered of a network; empty where it is nothing of these candidates."""
        return self._parse(self._read().get(_machine_key(), {}).get(key), candidates)

    def find_last(self, candidates: Sequence[Arithmetic]) -> list[TimedArithmetic]:
        """What is remembered of the network that was timed last; empty where it is none."""
        networks = self._read().get(_machine_key(), {})
        return self._parse(list(networks.values())[-1], candidates) if networks else []

    def add(self, key: str, timed: Sequence[TimedArithmetic]) -> None:
        """Remember the timings of a network; a folder that cannot be written is passed over."""
        memory = self._read()
        networks = memory.setdefault(_machine_key(), {})
        networks.pop(key, None)
        networks[key] = [
            [each.arithmetic.precision, each.arithmetic.xla, each.seconds] for each in timed
        ]
        while len(networks) > _MOST_REMEMBERED:
            networks.pop(next(iter(networks)))
        with suppress(OutputError), atomic_file(self._path) as file:
            file.write(json.dumps(memory).encode())

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            memory = read_json(self._path)
        except (OSError, ValueError):
            return {}
        is_sound = isinstance(memory, dict) and all(
            isinstance(each, dict) for each in memory.values()
        )
        return memory if is_sound else {}

    @staticmethod
    def _parse(rows: Any, candidates: Sequence[Arithmetic]) -> list[TimedArithmetic]:
        try:
            known = {Arithmetic(str(name), bool(xla)): float(s) for name, xla, s in rows}
        except (TypeError, ValueError):
            return []
        if not set(known) & set(candidates):
            return []
        return [TimedArithmetic(each, known[each]) for each in candidates if each in known]


def _machine_key() -> str:
    """Digest of what timings depend on beside the network: machine and versions."""
    return _digest(
        {
            "processor": describe_processor(),
            "devices": describe_devices(),
            "threads": count_threads(),
            "backend": keras.config.backend(),
            "versions": {name: _version(name) for name in _PACKAGES},
        }
    )


def _describe_network(experiment: Experiment) -> str:
    """Digest of what a step's time depends on in the settings."""
    settings = experiment.training
    return _digest(
        {
            "model": experiment.model.model_dump(mode="json"),
            "size": experiment.image.size,
            "channels": experiment.image.channels,
            "batch": settings.batch_size,
            "loss": settings.loss,
            "optimizer": settings.optimizer,
        }
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _digest(facts: Mapping[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
