"""`Disk` keeps the contract of stores."""

import pytest

from roadworthy.testing.contract import StoreContract
from roadworthy.uploads import Disk


class TestDisk(StoreContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.path = tmp_path / "files"

    def make_store(self):
        return Disk(self.path)
