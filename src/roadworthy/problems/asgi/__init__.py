"""The ASGI layers of the error contract, and the watchers of requests."""

__all__: list[str] = []
