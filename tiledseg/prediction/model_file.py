"""The file of a network: what it claims is looked at before anything is unpacked or made room for.

Keras refuses what would unpack to more than four gigabytes. Files that it has written hold their
content as it is, and as many weights as the network has; here nothing else is read.
"""

import math
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import keras

import tiledseg.models.layers  # noqa: F401  # loading a saved network needs to know them
from tiledseg.config.regular_files import open_regular, parse_json
from tiledseg.images.limits import SMALL

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_KNOWN = frozenset({_CONFIG, _WEIGHTS, "metadata.json"})
_MOST_TEXT = 8 * 2**20
"""Bytes of a description of layers; that of a thousand layers has one megabyte."""
_MOST_VALUE = 4
"""Bytes of a weight."""
_MOST_EXPANSION = 10
"""Bytes that a byte of a file may become: weights can hardly be packed."""


def read_network(path: Path, *, to_train: bool = False) -> Any:
    """Load a network that Keras saved.

    Args:
        path: The file.
        to_train: With its optimizer.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged, or claims more than it holds; the message follows its name.
    """
    with open_regular(path) as file:
        try:
            _require_sound(file)
            return keras.saving.load_model(path, compile=to_train, safe_mode=True)
        except OSError:
            raise
        except Exception as error:  # BadZipFile, KeyError, h5py's and TensorFlow's... by the fault
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise ValueError(reason[:300]) from error


def _require_sound(file: Any) -> None:
    with zipfile.ZipFile(file) as archive:
        members = {item.filename: item for item in archive.infolist()}
        unknown = sorted(set(members) - _KNOWN)
        if unknown:
            raise ValueError(f"it holds {unknown[0][:80]!r}, which no network of tiledseg has")
        for item in members.values():
            _require_size(item)
        config = parse_json(archive.read(_CONFIG).decode())
        stored = _measure_weights(archive.read(_WEIGHTS))
    # In a thread of its own: Keras remembers, thread by thread, which variables have no values
    # yet, and would make all of them, those of a refused network too, with the next forward pass.
    with ThreadPoolExecutor(1) as thread:
        claimed = thread.submit(_measure_network, config).result()
    if claimed > SMALL + 2 * stored:
        raise ValueError(
            f"its layers take {claimed / 1e6:.0f} MB, and its weights have {stored / 1e6:.0f}"
        )


def _require_size(item: zipfile.ZipInfo) -> None:
    size = item.file_size
    if item.filename == _WEIGHTS:
        too_large = size > SMALL and size > _MOST_EXPANSION * item.compress_size
    else:
        too_large = size > _MOST_TEXT
    if too_large:
        raise ValueError(
            f"its {item.filename} of {item.compress_size} bytes unpacks to {size / 1e6:.0f} MB"
        )


def _measure_weights(content: bytes) -> int:
    """Bytes of all weights, as they are when they are read."""
    total = 0

    def add(name: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external:
                raise ValueError(f"its weights {name[:80]} lie in another file")
            total += item.nbytes

    with h5py.File(BytesIO(content), "r") as weights:
        weights.visititems(add)
    if total > SMALL + _MOST_EXPANSION * len(content):
        raise ValueError(
            f"its weights claim {total / 1e6:.0f} MB, and have {len(content) / 1e6:.0f}"
        )
    return total


def _measure_network(config: Any) -> int:
    """Bytes of the variables that Keras would make; none of them is made."""
    network_alone = {**config, "compile_config": None}
    with keras.StatelessScope(initialize_variables=False):
        network = keras.saving.deserialize_keras_object(network_alone, safe_mode=True)
    return sum(_MOST_VALUE * math.prod(each.shape) for each in network.variables)
