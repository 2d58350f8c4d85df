"""The inventory: items and their quantities."""
