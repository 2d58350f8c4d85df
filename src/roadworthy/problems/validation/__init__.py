"""Strict JSON bodies, field errors and their messages."""

__all__: list[str] = []
