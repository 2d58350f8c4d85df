"""What `make test` asks of the engines: all of one of them, a sample of the others."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before `-m "not soak"` is heeded
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as soaks the tests of a class that are not in its `sample`."""
    for item in items:
        if isinstance(item, pytest.Function) and item.cls is not None:
            sample = getattr(item.cls, "sample", None)
            if sample is not None and not {item.name, item.originalname} & {*sample}:
                item.add_marker(pytest.mark.soak)
