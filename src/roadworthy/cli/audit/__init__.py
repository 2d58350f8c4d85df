"""`roadworthy audit`: find mistakes in a FastAPI service, without importing it."""

__all__: list[str] = []
