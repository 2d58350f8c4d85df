"""Jobs that run in the workers of a message broker: relay, consumer and messages."""

__all__: list[str] = []
