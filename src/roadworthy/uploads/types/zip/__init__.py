"""Read ZIP archives: records, the central directory, and the walk through both."""

__all__: list[str] = []
