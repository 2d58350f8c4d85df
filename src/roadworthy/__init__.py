"""Small parts that make FastAPI services fit for production.

Each module stands alone: import the one you need, for example
``from roadworthy import problems`` and ``problems.install(app)``.
Importing this package does nothing else.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("roadworthy")
