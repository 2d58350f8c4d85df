"""The tables of jobs, and every statement that reads or writes them."""

__all__: list[str] = []
