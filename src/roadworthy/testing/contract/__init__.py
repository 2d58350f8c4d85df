"""The contracts of engines and of stores: tests that each of them has to pass.

    class TestMyEngine(EngineContract):
        def make_engine(self, *, at_a_time: int = 20) -> Engine:
            return MyEngine(at_a_time, lease=self.lease, grace=timedelta(milliseconds=200))

        @pytest.fixture
        def database_url(self, tmp_path: Path) -> str:
            return f"sqlite:///{tmp_path / 'test.db'}"

They need `roadworthy[testing]`. They look at the database and at files only, never
into the engine: where that runs its jobs in other processes, override `working` and
`worker_process`, and have those processes open `contract_tasks.contract_jobs`.

For stores see `StoreContract`.
"""

from typing import TYPE_CHECKING, Any

from roadworthy._internal.extras import extra

with extra("testing", of="roadworthy.testing.contract"):
    import pytest_asyncio as _  # noqa: F401 - it needs pytest; the absence of both is told once

from roadworthy.testing.contract.crashes import Crashes
from roadworthy.testing.contract.history import History
from roadworthy.testing.contract.limits import Limits
from roadworthy.testing.contract.order import Order
from roadworthy.testing.contract.outcomes import Outcomes
from roadworthy.testing.contract.pauses import Pauses
from roadworthy.testing.contract.schedules import Schedules
from roadworthy.testing.contract.tiers import Tiers

if TYPE_CHECKING:
    from roadworthy.testing.contract.store import StoreContract

__all__ = [
    "Crashes",
    "EngineContract",
    "History",
    "Limits",
    "Order",
    "Outcomes",
    "Pauses",
    "Schedules",
    "StoreContract",
    "Tiers",
]


class EngineContract(Outcomes, Crashes, Order, Schedules, Tiers, History, Limits, Pauses):
    """Every test that an engine has to pass."""


def __getattr__(name: str) -> Any:
    # Who tests an engine need not have what uploads need.
    if name == "StoreContract":
        from roadworthy.testing.contract.store import StoreContract  # noqa: PLC0415

        return StoreContract
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
