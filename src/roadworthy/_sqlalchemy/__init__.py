"""Pieces for parts that keep rows of their own: what SQLAlchemy leaves to its users."""

from roadworthy._internal.extras import extra

with extra("database", of="roadworthy.database"):
    import sqlalchemy as _  # noqa: F401 - so that its absence is told once
