"""Small parts that make FastAPI services fit for production.

Each module stands alone: import the one you need, for example
``from roadworthy import problems`` and ``problems.install(app)``.
Importing this package does nothing else.
"""

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    """Read the version when it is asked for: that takes longer than a command line may."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("roadworthy")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
