"""What this machine computes with: its devices, its processor and its threads."""

import os
import platform
from importlib import import_module
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
"""Only Linux has the file."""
_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
_THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")


def describe_devices() -> str:
    """What Keras computes on, by the names of their makers: ``cpu``, or ``2 x NVIDIA H200``."""
    import keras  # noqa: PLC0415  # importing this module must not load a backend

    names = []
    if keras.config.backend() == "tensorflow":
        config = import_module("tensorflow").config
        for device in config.list_physical_devices("GPU"):
            details = config.experimental.get_device_details(device)
            names.append(str(details.get("device_name", "GPU")))
    else:
        devices = import_module("jax").devices()
        names = [str(device.device_kind) for device in devices if device.platform != "cpu"]
    counts = {name: names.count(name) for name in names}
    return ", ".join(f"{count} x {name}" for name, count in counts.items()) or "cpu"


def describe_processor(cpu_info: Path = CPU_INFO) -> str:
    """Name of the processor, and those of its vector units that change what is computed."""
    name, features = "", list_features(cpu_info)
    try:
        for line in cpu_info.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
                break
    except OSError:
        pass
    name = name or platform.processor() or platform.machine()
    return f"{name} ({', '.join(features)})" if features else name


def list_features(cpu_info: Path = CPU_INFO) -> list[str]:
    """The processor's vector units that change what is computed; empty where none is known."""
    try:
        flags = set(cpu_info.read_text(encoding="utf-8").split())
    except OSError:
        return []
    return [name for name in _FEATURES if name in flags]


def count_threads() -> int:
    """Threads that one operation may be shared by: sums differ in their last digits with it."""
    for name in _THREAD_VARIABLES:
        if os.environ.get(name, "").isdecimal() and int(os.environ[name]):
            return int(os.environ[name])
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
