"""Tiles through a network: stages side by side, runtimes, memory, test-time augmentation."""
