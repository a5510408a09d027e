"""Headers of image formats, one file each, and what a decoder is handed of a file."""
