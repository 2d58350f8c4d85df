"""Celery, on Redis: for orientation, since its queue is not in the application's database."""

from celery import Celery

from _jobs import common


def make_app(url: str) -> Celery:
    broker, _, name = url.partition("?")
    app = Celery("bench", broker=broker)
    app.conf.update(
        task_ignore_result=True,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=100,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"global_keyprefix": name},
    )
    return app


def fill(url: str, n: str) -> None:
    app = make_app(url)
    with app.producer_pool.acquire() as producer:
        for i in range(int(n)):
            app.send_task("noop", (i,), producer=producer)
    common.result()


def work(url: str, n: str) -> None:
    app, countdown = make_app(url), common.Countdown(int(n))

    @app.task(name="noop")
    def noop(n: int) -> None:
        countdown.done()

    countdown.start()
    app.Worker(pool="solo", loglevel="CRITICAL", without_gossip=True, without_mingle=True).start()


def clean(url: str) -> None:
    """Remove what is left of it: the server is not only ours."""
    import redis

    broker, _, name = url.partition("?")
    with redis.Redis.from_url(broker) as server:
        for key in server.scan_iter(f"{name}*"):
            server.delete(key)
    common.result()
