"""Send stored files to clients: headers, ranges and disposition."""

__all__: list[str] = []
