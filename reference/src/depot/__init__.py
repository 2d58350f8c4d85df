"""Depot: a stock-keeping service, the reference application of Roadworthy."""

__all__ = ["__version__"]

__version__ = "0.1.0"
