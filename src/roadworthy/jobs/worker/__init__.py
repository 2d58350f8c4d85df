"""The worker: its poll loop, attempts, heartbeat, scheduler and log lines."""

__all__: list[str] = []
