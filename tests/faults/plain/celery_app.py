"""Celery as its documentation has it for work that must not be lost: late acks, retries.

`celery -A faults.plain.celery_app worker`
"""

import os

from celery import Celery

from faults.plain import jobs

__all__ = ["app"]

app = Celery("plain", broker=os.environ["PLAIN_BROKER"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_hijack_root_logger=False,
)
if os.environ["PLAIN_BROKER"].startswith("redis"):
    # By default an hour: what a dead worker held would not come back in time to be counted.
    app.conf.broker_transport_options = {"visibility_timeout": 10}
for function in (jobs.send_confirmation, jobs.make_invoice, jobs.record_action):
    app.task(name=function.__name__, autoretry_for=(Exception,), max_retries=5, retry_backoff=True)(
        function
    )
