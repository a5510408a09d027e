"""The only room that talks to Optuna: a study of many trainings, in search of better settings."""
