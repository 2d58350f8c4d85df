"""Background tasks of which little is lost, or whose session nobody gives them."""

import pytest

from roadworthy.audit.model.finding import Confidence
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

START = """\
import bcrypt, requests
from fastapi import BackgroundTasks, Depends, FastAPI
from redis.asyncio import Redis
from sqlalchemy.orm import Session
from shop import get_cache, get_db, notify, send_later, settings

app = FastAPI()
"""


@pytest.fixture
def confidences(write):
    def ask(code: str, rule: str) -> list[Confidence]:
        folder = write(f"{START}{code}")
        rules = [one for one in RULES if one.code == rule]
        found = audit([folder], root=folder, rules=rules, processes=1).findings
        return [one.confidence for one in found]

    return ask


CACHE = """
async def work(cache: Redis):
    {work}

@app.post("/orders")
async def add(tasks: BackgroundTasks, cache: Redis = Depends(get_cache)):
    tasks.add_task({task})
"""


@pytest.mark.parametrize(
    ("work", "task"),
    [
        ("await cache.delete('x')", "work, cache"),
        ("pass", "cache.delete, 'orders'"),
        ("await cache.set('x', 1)", "work, cache"),
        ("await cache.get('x'); await cache.unlink('x')", "work, cache"),
    ],
)
def test_a_key_of_a_cache_is_little_to_lose(confidences, work, task):
    assert confidences(CACHE.format(work=work, task=task), "RW401") == [Confidence.LOW]


@pytest.mark.parametrize(
    ("work", "task"),
    [
        ("await cache.lpush('jobs', 1)", "work, cache"),
        ("await cache.publish('orders', 1)", "work, cache"),
        ("await cache.delete('x'); requests.post('https://x', timeout=3)", "work, cache"),
        ("pass", "requests.post, 'https://x'"),
    ],
)
def test_work_that_is_lost_is_more(confidences, work, task):
    assert confidences(CACHE.format(work=work, task=task), "RW401") == [Confidence.MEDIUM]


CHOICE = """
async def work(secret: bytes):
    bcrypt.hashpw(secret, b"")
    requests.post("https://x", timeout=3)

@app.post("/orders")
async def add(tasks: BackgroundTasks):
    if settings.queue:
        {queued}
    else:
        tasks.add_task(work, b"")
"""


@pytest.mark.parametrize("rule", ["RW401", "RW404"])
@pytest.mark.parametrize(
    ("queued", "is_less"),
    [
        *[("send_later.delay(1)", True), ("send_later.apply_async([1])", True)],
        *[("notify(1)", False), ("pass", False)],
    ],
)
def test_a_task_that_a_queue_does_in_production_is_less(confidences, rule, queued, is_less):
    (found,) = confidences(CHOICE.format(queued=queued), rule)

    assert (found is Confidence.LOW) is is_less


FILLED = """
def work(db): ...

def later(tasks: BackgroundTasks, what: str, db: Session | None = None):
    tasks.add_task(work, what, db)

@app.post("/orders")
async def add(tasks: BackgroundTasks, db: Session = Depends(get_db)):
    {call}
"""


@pytest.mark.parametrize(
    "call",
    [
        "later(tasks, 'x')",
        "later(tasks, what='x')",
        "later(tasks, 'x', None)\n    later(tasks, 'x', db=None)".replace("'x', None", "'x'"),
        "tasks.add_task(later, tasks, what='x')",
    ],
)
def test_a_session_that_no_caller_gives_is_none(confidences, call):
    assert confidences(FILLED.format(call=call), "RW402") == []


@pytest.mark.parametrize(
    "call",
    [
        "later(tasks, 'x', db)",
        "later(tasks, 'x', db=db)",
        "later(tasks, 'x')\n    later(tasks, 'x', db=db)",
        "later(*[tasks, 'x', db])",
        "later(tasks, **{'what': 'x', 'db': db})",
        "chosen = later\n    chosen(tasks, 'x', db)",
        "pass",
    ],
)
def test_a_session_that_a_caller_may_give_is_found(confidences, call):
    assert len(confidences(FILLED.format(call=call), "RW402")) == 1
