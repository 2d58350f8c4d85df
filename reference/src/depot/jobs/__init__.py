"""Background jobs: their state, as clients read it."""
