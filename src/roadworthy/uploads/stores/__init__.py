"""The stores of files: on disk, and in object stores."""

__all__: list[str] = []
