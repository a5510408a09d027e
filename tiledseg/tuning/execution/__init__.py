"""Running trials: workers, processes, retries, signals, outcomes."""
