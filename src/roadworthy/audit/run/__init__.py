"""How an audit is run: what is new, what has moved, and what is watched."""

__all__: list[str] = []
