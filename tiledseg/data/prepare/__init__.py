"""Whole images into tiles, reduced images and crops of objects: a new dataset, with a manifest."""
