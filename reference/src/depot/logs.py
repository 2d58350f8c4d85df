"""The log: the library's lines, without what migrations say of themselves."""

from typing import Any, Literal

from roadworthy.observability import log_config

__all__ = ["config"]


def config(style: Literal["json", "console"]) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`."""
    return log_config(style, levels={"alembic": "WARNING"})
