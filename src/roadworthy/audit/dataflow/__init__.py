"""Where values go and what runs: reaching calls, outcomes and blocking calls."""

__all__: list[str] = []
