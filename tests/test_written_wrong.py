"""What a developer writes wrong is refused where it is written, by the name of the argument."""

from datetime import timedelta

import pytest
from fastapi import FastAPI

from roadworthy import limits, problems
from roadworthy.database import Tx
from roadworthy.health import Health
from roadworthy.idempotency import Idempotency
from roadworthy.jobs import Embedded, Limit

MINUTE = timedelta(minutes=1)


async def ask() -> None: ...


async def wait_for(user: str) -> str:
    return user


def declared(**attributes: object) -> type[problems.Problem]:
    return type("NoStock", (problems.Problem,), attributes)


class Nameless:
    """An object whose text is its address."""


def nameless() -> Nameless:
    return Nameless()


def forgotten() -> object:
    return wait_for("ann")


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda: Idempotency(Tx, ttl=86400), "ttl"),
        (lambda: Idempotency(Tx, ttl=timedelta(0)), "ttl"),
        (lambda: Idempotency(Tx, wait=timedelta(seconds=-1)), "wait"),
        (lambda: Idempotency(Tx, max_bytes="1 MiB"), "max_bytes"),
        (lambda: limits.install(FastAPI(), time=30), "time"),
        (lambda: limits.install(FastAPI(), at_most="5"), "at_most"),
        (lambda: limits.install(FastAPI(), at_most=0), "at_most"),
        (lambda: limits.install(FastAPI(), body_idle=15), "body_idle"),
        (lambda: limits.time_limit(5), "time"),
        (lambda: problems.install(FastAPI(), default="xml"), 'default="envelope"'),
        (lambda: problems.install(FastAPI(), default=None), 'default="envelope"'),
        (lambda: problems.install(FastAPI(), types="/"), "types"),
        (lambda: problems.install(FastAPI(), types="/p/{code}"), "types"),
        (lambda: problems.install(FastAPI(), types=None), "types"),
        (lambda: problems.install(FastAPI(), observe="log"), "observe"),
        (lambda: problems.install(FastAPI(), on_failure=1), "on_failure"),
        (lambda: problems.install(FastAPI(), linger=5), r"linger=problems\.Linger\(max_time="),
        (lambda: problems.Linger(max_time=5), "max_time"),
        (lambda: problems.Linger(max_bytes="1 MiB"), "max_bytes"),
        (lambda: declared(detail="Only {left} are left."), r"detail .*`left: str`"),
        (lambda: declared(detail="Only {of.name[0]}."), r"detail .*`of: str`"),
        (lambda: declared(detail="Only {}."), r"detail .*\{\{ and \}\}"),
        (lambda: declared(detail="Only { are left."), r"detail .*\{\{ and \}\}"),
        (lambda: declared(headers={"X-Left": "{left}"}), r"headers\['X-Left'\] .*`left: str`"),
        (lambda: Health(drain=5), "drain"),
        (lambda: Health(max_lag=10), "max_lag"),
        (lambda: Health().add("database", ask, timeout=1), "timeout"),
        (lambda: Health().add("database", ask, interval=5), "interval"),
        (lambda: Embedded(queues="default"), "queues"),
        (lambda: Embedded(queues=[]), "queues"),
        (lambda: Embedded(queues=[""]), "queues"),
        (lambda: Limit(concurrency=1, key=wait_for), "key"),
    ],
)
def test_a_wrong_argument_is_named_where_it_is_written(write, name):
    with pytest.raises((TypeError, ValueError), match=name):
        write()


@pytest.mark.parametrize("key", [nameless, forgotten])
def test_a_limit_whose_keys_have_no_text_is_refused(key):
    with pytest.raises(TypeError, match="key of its limit"):
        Limit(concurrency=1, key=key).key_of("bounded", {})
