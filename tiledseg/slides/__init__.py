"""Images larger than memory: read, kept and written a rectangle or a band of rows at a time."""
