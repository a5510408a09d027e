"""From an image file to its masks: predictor, jobs, outputs, instances, resume."""
