"""What the machinery around the service asks."""
