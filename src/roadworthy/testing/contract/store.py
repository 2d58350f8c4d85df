"""The contract of stores: tests that each of them has to pass.

    class TestMyStore(StoreContract):
        @pytest.fixture(autouse=True)
        def place(self, tmp_path: Path) -> None:
            self.path = tmp_path

        def make_store(self) -> Store:
            return MyStore(self.path)

They need pytest and pytest-asyncio. They look at the store through its interface only.
"""

from roadworthy.testing.contract.store_reading import Listing, Reading
from roadworthy.testing.contract.store_writing import Abandoning, Committing, Judging

__all__ = ["Abandoning", "Committing", "Judging", "Listing", "Reading", "StoreContract"]


class StoreContract(Committing, Abandoning, Judging, Reading, Listing):
    """Every test that a store has to pass."""
