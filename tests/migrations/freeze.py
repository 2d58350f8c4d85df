"""Write `version_1.py` as the tables are today: `python tests/migrations/freeze.py`.

For as long as 0.1.0 is not out. Afterwards that file stays, and a change of a table is another
version, or what `alembic revision --autogenerate` writes for users.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from roadworthy.migrations import version_1
from roadworthy.tables import metadata

PATH = Path(version_1.__file__)
FIRST = "Table(\n"


def declarations() -> Iterator[str]:
    for table in metadata.sorted_tables:
        rows = [repr(table.name), "metadata", *map(column, table.columns)]
        rows += [index(one) for one in sorted(table.indexes, key=lambda one: str(one.name))]
        if table.dialect_options["sqlite"]["autoincrement"]:
            rows.append("sqlite_autoincrement=True")
        yield f"Table({', '.join(rows)},)\n"


def column(one: sa.Column) -> str:
    said = [repr(one.name), kind(one.type)]
    said += [
        f"ForeignKey({k.target_fullname!r}, ondelete={k.ondelete!r})" for k in one.foreign_keys
    ]
    if one.primary_key:
        said.append("primary_key=True")
    elif not one.nullable:
        said.append("nullable=False")
    if one.autoincrement is False:
        said.append("autoincrement=False")
    return f"Column({', '.join(said)})"


def kind(one: sa.types.TypeEngine) -> str:
    if isinstance(one, sa.DateTime):
        return "_Time"
    name = type(one).__name__
    if name == "String":
        return f"String({one.length})"
    on_sqlite = one._variant_mapping.get("sqlite")
    return (
        name
        if on_sqlite is None
        else f'{name}().with_variant({type(on_sqlite).__name__}, "sqlite")'
    )


def index(one: sa.Index) -> str:
    where = one.dialect_options["sqlite"]["where"]
    said = [repr(one.name), *([] if where is None else [repr(str(where))])]
    said += [repr(each.name) for each in one.columns]
    said += ["unique=True"] if one.unique else []
    return f"{'Index' if where is None else '_partial'}({', '.join(said)})"


if __name__ == "__main__":
    head = PATH.read_text().partition(FIRST)[0]
    PATH.write_text(head + "".join(declarations()))
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", PATH], check=True)
