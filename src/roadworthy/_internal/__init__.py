"""Standard library only: what several parts need and no user imports."""
