"""`roadworthy new`: a service to begin with, which knows only the standard library."""

__all__: list[str] = []
