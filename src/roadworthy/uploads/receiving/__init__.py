"""Receive a request's body into the store: parts, fields, files and limits."""

__all__: list[str] = []
