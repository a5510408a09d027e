"""What a network's graph says: receptive field, stride, exactness, trimming."""
