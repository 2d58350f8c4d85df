"""Alembic's own commands, in a project whose environment is that of `roadworthy.migrations`."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from roadworthy import tables
from roadworthy.migrations import create_tables, drop_tables, version_1
from support.forked import Popen
from support.forked import run as forked_run

PYPROJECT = """
[tool.alembic]
script_location = "roadworthy.migrations:environment"
version_locations = ["%(here)s/versions"]
prepend_sys_path = ["."]
database = "shop:url"
tables = ["shop:metadata", "roadworthy.tables:metadata"]
"""
SHOP = """
import sqlalchemy as sa
metadata = sa.MetaData()
shelves = sa.Table("shelves", metadata, sa.Column("id", sa.Integer, primary_key=True),
                   sa.Column("label", sa.String(50), nullable=False))
boxes = sa.Table("boxes", metadata, sa.Column("id", sa.Integer, primary_key=True),
                 sa.Column("shelf", sa.Integer, sa.ForeignKey("shelves.id", ondelete="CASCADE")))
def url(): return {url!r}
"""
FIRST = """
import sqlalchemy as sa
from alembic import op
from roadworthy.migrations import create_tables, drop_tables
revision, down_revision = "0001", None
def upgrade():
    op.create_table("shelves", sa.Column("id", sa.Integer, primary_key=True),
                    sa.Column("label", sa.String(50), nullable=False))
    op.create_table("boxes", sa.Column("id", sa.Integer, primary_key=True),
                    sa.Column("shelf", sa.Integer, sa.ForeignKey("shelves.id", ondelete="CASCADE")))
    create_tables(version=1)
def downgrade():
    drop_tables(version=1)
    op.drop_table("boxes")
    op.drop_table("shelves")
"""
WIDER = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    with op.batch_alter_table("shelves") as shelves:
        shelves.alter_column("label", type_=sa.String(90), existing_nullable=False)
def downgrade(): pass
"""


@pytest.fixture
def shop(tmp_path: Path, database_url: str) -> Path:
    return project(tmp_path, database_url)


def project(folder: Path, url: str) -> Path:
    (folder / "versions").mkdir()
    (folder / "versions/0001_first.py").write_text(FIRST)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "shop.py").write_text(SHOP.replace("{url!r}", repr(url)))
    return folder


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "alembic", *words]


def alembic(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return forked_run(
        command(*words), cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def done(folder: Path, *words: str) -> str:
    result = alembic(folder, *words)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def test_the_first_version_of_the_tables_is_what_the_parts_have_today(database_url):
    """If a part has another table: type `python tests/migrations/freeze.py`, until 0.1.0 is out."""
    engine = engine_of(database_url)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            create_tables(version=1)
        assert compare_metadata(context, tables.metadata) == []
        with Operations.context(context):
            drop_tables(version=1)
        assert sa.inspect(connection).get_table_names() == []
    engine.dispose()


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=lambda d: d.name)
def test_the_first_version_of_the_tables_is_written_as_that_of_today(dialect):
    def ddl(metadata: sa.MetaData) -> list[str]:
        made = [CreateTable(table) for table in metadata.sorted_tables]
        indexes = [CreateIndex(one) for table in metadata.sorted_tables for one in table.indexes]
        return sorted(str(each.compile(dialect=dialect)) for each in [*made, *indexes])

    assert ddl(version_1.metadata) == ddl(tables.metadata)


def test_sqlite_keeps_what_create_all_would_have_made():
    """Among it what no comparison of Alembic sees: partial indexes, AUTOINCREMENT."""

    def kept(make: Callable[[sa.Connection], None]) -> set[str]:
        engine = sa.create_engine("sqlite://")
        with engine.begin() as connection:
            make(connection)
            rows = connection.scalars(sa.text("SELECT sql FROM sqlite_master WHERE sql <> ''"))
            return {" ".join(row.split()) for row in rows}

    def migrated(connection: sa.Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            create_tables(version=1)

    assert kept(migrated) == kept(tables.metadata.create_all)


def test_a_version_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="version 7"):
        create_tables(version=7)


def test_what_was_migrated_has_nothing_left_to_write(shop):
    done(shop, "upgrade", "head")

    assert "No new upgrade operations" in done(shop, "check")


def test_a_new_column_is_found_written_applied_and_taken_back(shop, database_url):
    done(shop, "upgrade", "head")
    source = (shop / "shop.py").read_text()
    column = 'sa.Column("room", sa.String(9)), sa.Column("label"'
    (shop / "shop.py").write_text(source.replace('sa.Column("label"', column))

    done(shop, "revision", "--autogenerate", "-m", "Add a room")
    [written] = (shop / "versions").glob("*_add_a_room.py")
    done(shop, "upgrade", "head")
    assert "room" in columns_of(database_url, "shelves")
    assert "roadworthy" not in written.read_text()

    done(shop, "downgrade", "0001")
    assert "room" not in columns_of(database_url, "shelves")
    done(shop, "downgrade", "base")


def columns_of(url: str, table: str) -> set[str]:
    engine = engine_of(url)
    columns = {column["name"] for column in sa.inspect(engine).get_columns(table)}
    engine.dispose()
    return columns


def test_a_written_migration_is_as_a_formatter_has_it(shop):
    done(shop, "revision", "-m", "Nothing yet")
    [written] = (shop / "versions").glob("*_nothing_yet.py")

    checked = [sys.executable, "-m", "ruff", "format", "--check", written]
    assert subprocess.run(checked, capture_output=True, check=False).returncode == 0


def test_rows_that_refer_to_a_changed_table_stay(shop, database_url):
    done(shop, "upgrade", "head")
    engine = engine_of(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO shelves (id, label) VALUES (1, 'top')"))
        connection.execute(sa.text("INSERT INTO boxes (id, shelf) VALUES (1, 1)"))
    (shop / "versions/0002_wider.py").write_text(WIDER)

    done(shop, "upgrade", "head")

    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM boxes")) == 1
    engine.dispose()


def test_a_row_that_would_refer_to_nothing_stops_the_migration(tmp_path, sqlite_url):
    shop = project(tmp_path, sqlite_url)
    done(shop, "upgrade", "head")
    with sqlite3.connect(tmp_path / "test.db") as connection:
        connection.execute("INSERT INTO shelves (id, label) VALUES (1, 'top')")
        connection.execute("INSERT INTO boxes (id, shelf) VALUES (1, 1)")
    connection.close()
    lost = WIDER.split("def upgrade", maxsplit=1)[0] + (
        "def upgrade():\n    op.execute('DELETE FROM shelves')\ndef downgrade(): pass\n"
    )
    (shop / "versions/0002_lost.py").write_text(lost)

    result = alembic(shop, "upgrade", "head")

    assert result.returncode != 0
    assert "A row of boxes would refer to no row of shelves" in result.stdout + result.stderr
    assert done(shop, "current").split()[0] == "0001"


def test_several_processes_may_migrate_at_once(shop):
    started = [
        Popen(
            command("upgrade", "head"), cwd=shop, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]

    assert [process.returncode for process in started] == [0] * 4, outputs


def test_a_service_that_writes_is_waited_for(tmp_path, sqlite_url):
    shop = project(tmp_path, sqlite_url)
    writer = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("BEGIN IMMEDIATE")
    started = Popen(command("upgrade", "head"), cwd=shop, stderr=subprocess.PIPE)

    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(timeout=1)
    writer.execute("COMMIT")
    writer.close()
    _, told = started.communicate(timeout=60)

    assert started.returncode == 0, told


def test_sql_is_written_where_nothing_may_be_connected_to(shop):
    written = done(shop, "upgrade", "head", "--sql")

    assert "CREATE TABLE boxes" in written
    assert "CREATE TABLE roadworthy_jobs" in written


@pytest.mark.parametrize(
    ("said", "instead", "told"),
    [
        ('database = "shop:url"\n', "", 'Write database = "shop.app:database_url"'),
        ('"shop:url"', '"shop:nothing"', "[tool.alembic] names shop:nothing, and: "),
        ('"shop:url"', '"nowhere:url"', "No module named 'nowhere'"),
        ('"shop:metadata", ', '"shop:shelves", ', "shop:shelves is no MetaData"),
        ('["shop:metadata", "roadworthy.tables:metadata"]', "[]", "has no tables"),
    ],
)
def test_a_mistake_in_pyproject_says_what_to_write(tmp_path, sqlite_url, said, instead, told):
    shop = project(tmp_path, sqlite_url)
    assert said in PYPROJECT
    (shop / "pyproject.toml").write_text(PYPROJECT.replace(said, instead))

    result = alembic(shop, "upgrade", "head")

    assert result.returncode != 0
    assert told in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
