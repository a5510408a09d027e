"""How trials run: workers, processes, retries, signals, and what became of each trial."""
