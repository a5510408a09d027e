"""Where tiles lie and how they are put together: arrays and numbers, no network."""
