"""Processes, memory and processors of this machine."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

_MEMORY_SHARE = 0.9


def identify_process() -> dict[str, Any]:
    """Machine, id and start time of this process, which no other process shares."""
    process = psutil.Process()
    return {"machine": _host_id(), "pid": process.pid, "began": process.create_time()}


def is_gone(identity: Mapping[str, Any]) -> bool | None:
    """Whether a process has ended; None when it ran on another machine."""
    if identity["machine"] != _host_id():
        return None
    try:
        process = psutil.Process(identity["pid"])
        ended = process.status() == psutil.STATUS_ZOMBIE
        return ended or abs(process.create_time() - identity["began"]) > 1.0
    except psutil.NoSuchProcess:
        return True


def memory_per_worker(workers: int) -> float:
    """Memory that a trial may take when several run side by side, in 10**9 bytes."""
    total = float(psutil.virtual_memory().total)
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, float(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return _MEMORY_SHARE * total / workers / 1e9


def measure_memory(process: psutil.Process) -> float:
    """Memory that a process and those it started hold for themselves, in 10**9 bytes.

    Pages of mapped files (decoded images, libraries) are shared and not counted where the
    system tells them apart.
    """
    total = 0
    for one in (process, *process.children(recursive=True)):
        memory = one.memory_info()
        total += memory.rss - getattr(memory, "shared", 0)
    return total / 1e9


def share_processors(worker: int, workers: int) -> dict[str, str]:
    """Variables by which the trials of several workers share processors and accelerators.

    Args:
        worker: Number of the worker, from 0.
        workers: How many run on this machine.
    """
    if workers == 1:
        return {}
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    shared = {
        "TF_NUM_INTRAOP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    devices = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if len(devices) > 1:
        shared["CUDA_VISIBLE_DEVICES"] = devices[worker % len(devices)]
    return shared


def change_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """The variables of this process with some changed; None removes one."""
    kept = {name: value for name, value in os.environ.items() if name not in changes}
    return {**kept, **{name: value for name, value in changes.items() if value is not None}}


def _host_id() -> str:
    """Host, boot and process namespace: within these three, a process id means one process."""
    parts = [platform.node()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:  # not Linux
        parts.append(f"{psutil.boot_time():.0f}")
    return " ".join(parts)
