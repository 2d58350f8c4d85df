"""What FastAPI makes of code: routes, their paths, dependencies and handlers."""

__all__: list[str] = []
