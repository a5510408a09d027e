"""Folders of networks whose files claim, or unpack to, far more than they hold."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
Parts = dict[str, bytes]
Change = Callable[[Parts], object]


def read_parts(path: Path) -> Parts:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_parts(path: Path, parts: Parts, *, packed: bool = True) -> None:
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def config(change: Callable[[Any], object]) -> Change:
    def edit(parts: Parts) -> None:
        content = json.loads(parts[CONFIG])
        change(content)
        parts[CONFIG] = json.dumps(content).encode()

    return edit


def all_layers(**values: Any) -> Change:
    """Change settings of the layers that have them."""

    def change(content: Any) -> None:
        for layer in content["config"]["layers"]:
            own = layer["config"]
            own.update({name: value for name, value in values.items() if name in own})

    return config(change)


def weights(change: Callable[[Any], object]) -> Change:
    def edit(parts: Parts) -> None:
        file = io.BytesIO(parts[WEIGHTS])
        with h5py.File(file, "r+") as content:
            change(content)
        parts[WEIGHTS] = file.getvalue()

    return edit


def replace_first(content: Any, **options: Any) -> None:
    """Put another array in place of the first weight."""
    found: list[str] = []
    content.visititems(
        lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
    )
    del content[found[0]]
    content.create_dataset(found[0], **options)


def longer(name: str, count: int) -> Change:
    return lambda parts: parts.update({name: parts[name] + b" " * count})


def overlapping(path: Path) -> None:
    """An archive whose entries all name the same bytes."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(WEIGHTS)
        entries = archive.infolist()
    data = path.read_bytes()
    start = data.rindex(b"PK\x05\x06")
    size, offset = struct.unpack("<II", data[start + 12 : start + 20])
    copies = []
    for number in range(20_000):
        name = f"{number}".encode()
        copies.append(
            struct.pack(
                "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 0, 0, 0, entry.CRC,
                entry.compress_size, entry.file_size, len(name), 0, 0, 0, 0, 0, entry.header_offset,
            ) + name
        )  # fmt: skip
    directory = data[offset : offset + size] + b"".join(copies)
    count = len(entries) + len(copies)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(directory), offset, 0)
    path.write_bytes(data[:offset] + directory + end)


BOMBS: dict[str, Change] = {
    "a config that unpacks to a quarter": longer(CONFIG, 2**28),
    "metadata that unpack to a quarter": longer(METADATA, 2**28),
    "weights that unpack to a quarter": longer(WEIGHTS, 2**28),
    "a member that no network has": lambda parts: parts.update({"assets/a": bytes(2**28)}),
    "weights of the other kind": lambda parts: parts.update({"model.weights.npz": bytes(2**28)}),
    "filters without number": all_layers(filters=2**26),
    "kernels without end": all_layers(kernel_size=[4096, 4096]),
    "weights that claim forty gigabytes": weights(
        lambda file: replace_first(file, shape=(10**10,), dtype="f4", chunks=(2**20,))
    ),
    "weights that unpack to forty gigabytes": weights(
        lambda file: replace_first(
            file, shape=(10**10,), dtype="f4", chunks=(2**20,), compression="gzip", fillvalue=1
        )
    ),
    "weights in another file": weights(
        lambda file: replace_first(
            file, shape=(10**6,), dtype="f4", external=[("/dev/zero", 0, 4 * 10**6)]
        )
    ),
    "weights made of others": weights(
        lambda file: file.create_virtual_dataset("a", h5py.VirtualLayout((10**10,), "f4"))
    ),
    "sections in each other": lambda parts: parts.update({CONFIG: b"[" * 10**6}),
}


def write_bomb(sound: Path, folder: Path, name: str) -> None:
    """Write the folder of a network with one of ``BOMBS``.

    Args:
        sound: The folder of a sound one.
        folder: Where.
        name: Which; ``twenty thousand entries`` beside them.
    """
    folder.mkdir(parents=True)
    for file in sound.iterdir():
        if file.suffix != ".keras":
            (folder / file.name).write_bytes(file.read_bytes())
    path = folder / "model.keras"
    if name == OVERLAPPING:
        path.write_bytes((sound / "model.keras").read_bytes())
        overlapping(path)
        return
    parts = read_parts(sound / "model.keras")
    BOMBS[name](parts)
    write_parts(path, parts)


OVERLAPPING = "twenty thousand entries of the same bytes"
NAMES = (*BOMBS, OVERLAPPING)
