"""`roadworthy jobs`: the commands for background jobs and their workers."""

__all__: list[str] = []
