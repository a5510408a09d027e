"""Tiled inference: the whole-image answer, one tile at a time."""
