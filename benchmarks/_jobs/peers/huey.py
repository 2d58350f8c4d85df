"""huey, on SQLite."""

from huey import SqliteHuey
from huey.consumer import Consumer

from _jobs import common

UNFINISHED = "SELECT count(*) FROM task"


def make_huey(url: str) -> SqliteHuey:
    return SqliteHuey("bench", filename=url.partition("///")[2], results=False)


def fill(url: str, n: str) -> None:
    huey = make_huey(url)
    noop = huey.task(name="noop")(lambda n: None)
    for i in range(int(n)):
        noop(i)
    common.result()


def work(url: str, n: str) -> None:
    countdown = common.Countdown(int(n), lambda: int(str(common.query(url, UNFINISHED)[0][0])))
    huey = make_huey(url)
    huey.task(name="noop")(lambda n: countdown.done())
    countdown.start()
    Consumer(huey, workers=1, periodic=False).run()
