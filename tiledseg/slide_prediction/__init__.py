"""Prediction of images larger than memory: into files, and so that it can be gone on with."""
