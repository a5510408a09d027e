"""Masks as arrays: classes, instances, outlines, components over bands, cleaning, drawing."""
