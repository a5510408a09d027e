"""Datasets that are drawn: stained blood smears and their masks."""
