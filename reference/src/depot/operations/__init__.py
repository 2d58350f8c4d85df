"""Probes, and the sweep of what is no longer needed."""
