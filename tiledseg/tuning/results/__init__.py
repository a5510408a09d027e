"""What a study found: report, plots, candidates, retraining, the exported experiment."""
