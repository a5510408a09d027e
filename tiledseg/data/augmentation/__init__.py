"""Random changes to training crops: where pixels lie, and how they look."""
