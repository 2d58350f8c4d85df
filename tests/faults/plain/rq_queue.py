"""RQ as its documentation has it, with retries: `rq worker`."""

import os
from functools import cache

import redis
import rq

__all__ = ["RETRY", "queue"]

RETRY = rq.Retry(max=5, interval=[1, 2, 4, 8, 16])


@cache
def queue() -> rq.Queue:
    return rq.Queue(connection=redis.Redis.from_url(os.environ["PLAIN_BROKER"]))
