"""What runs in a worker: the poll loop, attempts, heartbeat, scheduler and log lines."""

__all__: list[str] = []
