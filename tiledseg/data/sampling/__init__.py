"""Which crops a network is shown, in training and in validation."""
