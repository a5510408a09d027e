"""The checkpoints of a run: listed, opened at full size, scored, promoted."""
