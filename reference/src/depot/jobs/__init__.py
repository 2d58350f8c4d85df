"""What became of the work that requests left behind."""
