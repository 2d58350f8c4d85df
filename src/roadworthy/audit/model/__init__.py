"""Values that every room of the audit knows: findings, rules, places and results."""

__all__: list[str] = []
