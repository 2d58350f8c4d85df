"""The page of each problem type, and its route (RFC 9457 §3.1.1)."""

__all__: list[str] = []
