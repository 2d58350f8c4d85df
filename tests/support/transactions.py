"""See from outside what PostgreSQL is doing."""

import psycopg

__all__ = ["wait_for_two_transactions"]


def wait_for_two_transactions(postgres_url: str) -> None:
    """Return once two transactions are open: the one that is held, and the one that waits."""
    count = (
        "select count(*) from pg_stat_activity where datname = current_database() "
        "and xact_start is not null and pid <> pg_backend_pid()"
    )
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        while connection.execute(count).fetchone() != (2,):
            pass
