"""`create_tables`: the tables of Roadworthy's parts, as one version has them."""

from typing import Final

from alembic import op
from alembic.operations.ops import CreateIndexOp, CreateTableOp
from sqlalchemy import MetaData

from roadworthy.migrations import version_1

__all__ = ["create_tables", "drop_tables"]

_VERSIONS: Final = {1: version_1.metadata}


def create_tables(*, version: int) -> None:
    """Create the tables of jobs, idempotency keys and problems, in a migration.

    They are those of that version for ever, whichever Roadworthy is installed: what comes later
    is a migration that `alembic revision --autogenerate` writes.

    Raises:
        ValueError: There is no such version.
    """
    for table in _of(version).sorted_tables:
        op.invoke(CreateTableOp.from_table(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            op.invoke(CreateIndexOp.from_index(index))


def drop_tables(*, version: int) -> None:
    """Drop what `create_tables` has created.

    Raises:
        ValueError: There is no such version.
    """
    for table in reversed(_of(version).sorted_tables):
        op.drop_table(table.name)


def _of(version: int) -> MetaData:
    if version not in _VERSIONS:
        raise ValueError(f"There is no version {version} of the tables: write version=1.")
    return _VERSIONS[version]
