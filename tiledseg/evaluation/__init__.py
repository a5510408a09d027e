"""Scores of whole images, figures of them, and the threshold they choose."""
