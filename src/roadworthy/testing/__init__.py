"""What tests of jobs need: a worker that runs inline, and a clock.

    with Clock() as clock:
        async with db.begin() as tx:
            await remind.options(delay=timedelta(hours=1)).enqueue(tx, order_id="1")
            await assert_enqueued(tx, remind.call(order_id="1"))

        clock.advance(timedelta(hours=1))
        assert [job.status for job in await Worker(jobs).run_due()] == ["succeeded"]

Who writes an engine finds the tests that it has to pass in `roadworthy.testing.contract`.
"""

from roadworthy.testing.clock import Clock
from roadworthy.testing.enqueued import EnqueuedJob, assert_enqueued, enqueued
from roadworthy.testing.rolled_back import rolled_back
from roadworthy.testing.worker import Point, Worker

__all__ = ["Clock", "EnqueuedJob", "Point", "Worker", "assert_enqueued", "enqueued", "rolled_back"]
