"""What `make test` asks of the engines: all of one of them, a sample of the others."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before `-m "not soak"` is heeded
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as soaks the tests of a class that are not in its `sample`.

    Those of its `mostly_on_sqlite` are asked on PostgreSQL in `make test-all`.
    """
    for item in items:
        if isinstance(item, pytest.Function) and (_is_left_out(item) or _is_asked_on_sqlite(item)):
            item.add_marker(pytest.mark.soak)


def _is_left_out(item: pytest.Function) -> bool:
    sample = getattr(item.cls, "sample", None)
    return sample is not None and not {item.name, item.originalname} & {*sample}


def _is_asked_on_sqlite(item: pytest.Function) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    on_sqlite = getattr(item.cls, "mostly_on_sqlite", ())
    return item.originalname in on_sqlite and parameters.get("database_url") == "postgresql"
