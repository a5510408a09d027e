"""Damaged files of every kind: every reader refuses them with an error of ours, or reads them.

None takes long, none takes much memory, whatever is damaged. The readers work in a process of their
own, which is watched; what is drawn is the same each time.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import seeds
from damage import Step, mend_png, steps
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from model_bombs import read_parts, write_parts

from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor

READERS = Path(__file__).with_name("readers.py")
KINDS = (*seeds.FILES, *seeds.FOLDERS, "network")
MOST_SECONDS = 5.0
"""Of a processor, which other work on the machine does not take."""
MOST_PATIENCE = 120.0
MOST_MEGABYTES = 1000.0
SOAK, LONG = 1000, 20_000


@dataclass
class Answer:
    outcome: str
    message: str
    length: int
    held: float


class Reader:
    """A process that reads what it is told to, started anew when it hangs or dies.

    Args:
        place: A folder of its own.
        network: The folder of a sound network.
    """

    def __init__(self, place: Path, network: Path) -> None:
        self._place, self._network = place, network
        self._process: subprocess.Popen[str] | None = None
        self._base = 0.0

    def read(self, reader: str, path: Path) -> Answer:
        """Have a path read; fails where that takes long, much memory, or the process."""
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(json.dumps({"reader": reader, "path": str(path)}) + "\n")
        process.stdin.flush()
        answer = self._wait(process)
        grown = answer.held - self._base
        if grown > MOST_MEGABYTES:
            self.close()
        assert grown < MOST_MEGABYTES, f"{grown:.0f} MB for {answer}"
        return answer

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "-1",
            "TILEDSEG_CACHE": str(self._place / "cache"),
            "PYTHONPATH": os.pathsep.join(sys.path),  # helpers lie in the folders of tests
        }
        self._process = process = subprocess.Popen(
            [sys.executable, str(READERS), str(self._network)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, cwd=self._place, env=environment,
        )  # fmt: skip
        ready = self._wait(process, MOST_PATIENCE)
        assert ready.outcome == "ready"
        self._base = ready.held
        return process

    def _wait(self, process: subprocess.Popen[str], most: float = MOST_SECONDS) -> Answer:
        """Its next answer; a hang is time on the processor, or very long waiting."""
        assert process.stdout is not None
        watched = psutil.Process(process.pid)
        began, used = time.monotonic(), _seconds(watched)
        while not select.select([process.stdout], [], [], 0.5)[0]:
            busy, waited = _seconds(watched) - used, time.monotonic() - began
            if busy > most or waited > MOST_PATIENCE or _sleeps(watched, waited):
                self.close()
                pytest.fail(f"hangs: {busy:.1f} s at work in {waited:.1f} s")
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            self._process = None
            pytest.fail(f"the process died with {code}")
        return Answer(**json.loads(line))


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _sleeps(process: psutil.Process, waited: float) -> bool:
    """Whether it has waited long for something that does not come, as a pipe's other end."""
    return waited > 30.0 and process.status() == psutil.STATUS_SLEEPING


@pytest.fixture(scope="module")
def network(tmp_path_factory, tiny_experiment):
    """The folder of a sound network."""
    experiment = tiny_experiment()
    folder = tmp_path_factory.mktemp("network") / "network"
    folder.mkdir()
    Predictor(build_model(experiment.model, 3), experiment).save(folder)
    return folder


@pytest.fixture(scope="module")
def reader(tmp_path_factory, network) -> Iterator[Reader]:
    """One for all kinds: it takes seconds to start."""
    found = Reader(tmp_path_factory.mktemp("reader"), network)
    yield found
    found.close()


def make_seeds(kind: str, folder: Path, network: Path) -> tuple[str, list[Path]]:
    """The reader of a kind, and its sound files or folders."""
    folder.mkdir()
    if kind == "network":
        shutil.copytree(network, folder / "network")
        return "model", [folder / "network"]
    if kind in seeds.FOLDERS:
        name, write = seeds.FOLDERS[kind]
        write(folder)
    else:
        name, make = seeds.FILES[kind]
        for file, data in make():
            (folder / file).write_bytes(data)
    return name, sorted(folder.iterdir())


def damage_file(path: Path, acts: list[Step], *, mend: bool) -> None:
    data = path.read_bytes()
    if path.name == "model.keras" and mend:
        _damage_network(path, acts)
        return
    for act in acts:
        data = act.apply(data)[: 2**22]
    path.write_bytes(mend_png(data) if mend and path.suffix == ".png" else data)


def _damage_network(path: Path, acts: list[Step]) -> None:
    """Damage a member of the archive, behind its checksum."""
    parts = read_parts(path)
    name = sorted(parts)[acts[0].place % len(parts)]
    for act in acts:
        parts[name] = act.apply(parts[name])[: 2**22]
    write_parts(path, parts, packed=False)


def damage_folder(folder: Path, acts: list[Step], which: int, *, mend: bool) -> None:
    """Damage one file of a folder, or put something else in its place."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[which % len(files)]
    odd = which // len(files) % 12
    if odd == 0:
        path.unlink()
    elif odd == 1:
        path.unlink()
        path.mkdir()
    elif odd == 2:
        path.unlink()
        os.mkfifo(path)
    elif odd == 3:
        path.unlink()
        path.symlink_to(path)
    else:
        damage_file(path, acts, mend=mend)


def run(kind: str, count: int, reader: Reader, place: Path, network: Path) -> Counter[str]:
    """Have so many damaged files of a kind read."""
    name, sound = make_seeds(kind, place / "seeds", network)
    outcomes: Counter[str] = Counter()
    for source in sound:
        target = place / "sound" / source.name
        seeds.copy_to(source, target)
        assert reader.read(name, target).outcome in ("opened", "refused")

    @seed(KINDS.index(kind))
    @settings(
        max_examples=count, database=None, deadline=None,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        number=st.integers(0, len(sound) - 1),
        which=st.integers(0, 2**16),
        acts=steps,
        mend=st.booleans(),
    )
    def damaged_files_are_refused(number: int, which: int, acts: list[Step], mend: bool) -> None:
        source = sound[number]
        target = place / "damaged" / source.name
        seeds.copy_to(source, target)
        if source.is_dir():
            damage_folder(target, acts, which, mend=mend)
        else:
            damage_file(target, acts, mend=mend)
        answer = reader.read(name, target)
        outcomes[answer.outcome] += 1
        assert answer.outcome in ("opened", "refused"), answer
        assert "\n" not in answer.message, answer
        assert answer.length < 2000, answer

    damaged_files_are_refused()
    return outcomes


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_damaged_files(kind, reader, tmp_path, network):
    count = -(-SOAK // len(KINDS))
    outcomes = run(kind, count, reader, tmp_path, network)
    assert outcomes.total() >= 0.9 * count


@pytest.mark.soak_long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_thousand_damaged_files(kind, reader, tmp_path, network):
    count = -(-LONG // len(KINDS))
    outcomes = run(kind, count, reader, tmp_path, network)
    assert outcomes.total() >= 0.9 * count
