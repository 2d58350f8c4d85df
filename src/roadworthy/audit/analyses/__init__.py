"""What rules ask of code: what is held, written, sent, and how long."""

__all__: list[str] = []
