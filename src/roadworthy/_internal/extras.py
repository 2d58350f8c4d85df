"""What to install, where the library is absent that an extra brings."""

from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["extra"]


@contextmanager
def extra(name: str, *, of: str) -> Generator[None]:
    """Name the extra to install where an import inside the block finds no library.

        with extra("celery", of="roadworthy.jobs.engines.celery"):
            import kombu

    Raises:
        ModuleNotFoundError: It names the library that is absent, and what to type.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        says = f"{of} needs {missing.name}: pip install 'roadworthy[{name}]'"
        raise ModuleNotFoundError(says, name=missing.name) from missing
