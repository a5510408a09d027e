"""A place to write configuration files, and a way to read what became of them."""

from pathlib import Path
from typing import Any

import pytest

from tiledseg.cli.arguments import load_file
from tiledseg.config.experiment import Experiment
from tiledseg.legacy import ImportedConfig, import_config


class Imports:
    """Writes texts as FILE.config and imports them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str | bytes, name: str = "Tiny.config") -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def config(self, text: str | bytes) -> ImportedConfig:
        return import_config(self.write(text))

    def experiment(self, text: str | bytes) -> Experiment:
        return load_file(self.write(text))

    def network(self, name: str, *lines: str) -> str:
        """A file of nothing but its network."""
        return "\n".join(("[model]", f'model = "Tensorflow{name}"', *lines, ""))

    def model(self, name: str, *lines: str) -> dict[str, Any]:
        """The settings of the network in such a file."""
        return self.experiment(self.network(name, *lines)).model.model_dump()

    def notes(self, text: str | bytes, kind: str) -> dict[str, str]:
        """Words by key, or by text, where there is no key."""
        notes = [note for note in self.config(text).notes if note.kind == kind]
        return {n.entry.key or n.entry.text: n.words for n in notes if n.entry}

    def told(self, text: str | bytes, kind: str) -> str:
        """What notes without a key say."""
        notes = self.config(text).notes
        return "; ".join(n.words for n in notes if n.kind == kind and n.entry is None)


@pytest.fixture
def imports(tmp_path: Path) -> Imports:
    return Imports(tmp_path)
