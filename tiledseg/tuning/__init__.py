"""The search for better settings by many trainings; the only room that imports Optuna."""
