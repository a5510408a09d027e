"""Results of a study: progress, importance, plots, candidates, retraining, export."""
