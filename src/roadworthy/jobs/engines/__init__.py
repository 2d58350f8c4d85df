"""Engines that run jobs on more than one machine: each is a module that needs an extra."""

__all__: list[str] = []
