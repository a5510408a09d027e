"""The source experiments' configuration files, read as experiments of this package."""

from tiledseg.legacy.document import SUFFIXES, ImportedConfig, import_config, write_experiments

__all__ = ["SUFFIXES", "ImportedConfig", "import_config", "write_experiments"]
