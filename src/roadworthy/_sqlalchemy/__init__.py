"""Pieces for parts that keep rows of their own: what SQLAlchemy leaves to its users."""
