"""What a model is shown: images, masks, datasets, samples."""
