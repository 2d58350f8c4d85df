"""An object store for the tests of a process."""

import pytest

from support.objects import object_server


@pytest.fixture(scope="session")
def object_url():
    with object_server() as url:
        yield url
