"""A study: its definition, its grid, its storage, and how it is made or joined."""
