"""PostgreSQL: connection arguments, replicas, poolers and stale sessions."""

__all__: list[str] = []
