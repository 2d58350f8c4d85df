"""`NatsEngine`: run jobs in workers of one's own, over NATS JetStream: an example of an engine.

docs/how-to/write-an-engine.md goes through it. A queue of jobs is a stream with one subject,
and each message of it goes to one worker, which acknowledges it when the jobs are claimed.
"""

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final, TypeVar, Unpack

import nats
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

from roadworthy.jobs import BrokerOptions
from roadworthy.jobs.broker import BrokerEngine, Doorbell

R = TypeVar("R")

_DURABLE: Final = "workers"
_SECONDS: Final = 10.0
"""For each answer of the server."""
_AT_ONCE: Final = 8
"""Doorbells of a queue that a worker hears at a time: one that waits holds up no other."""
_PAUSE: Final = 0.5
"""Seconds before a doorbell that found no place is sent again, or a server is asked again."""


class NatsBroker:
    """The way to the workers: blocking calls over a client that is asynchronous."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url, self._prefix = url, prefix
        self._runner = asyncio.Runner()
        self._client: Any = None

    def ring(self, queue: str, bells: list[Doorbell]) -> int:
        """Publish doorbells; the server has stored all of them."""
        return self._call(lambda: self._ring(queue, bells))

    def waiting(self, queue: str) -> int:
        """Count the messages that no worker has taken."""
        return self._call(lambda: self._waiting(queue))

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            with suppress(Exception):  # whatever the client raises: it is gone
                self._runner.run(self._client.close())
        self._runner.close()

    def _call(self, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
        async def within_time() -> R:
            async with asyncio.timeout(_SECONDS):
                if self._client is None or not self._client.is_connected:
                    self._client = await nats.connect(self._url, allow_reconnect=False)
                return await make()

        return self._runner.run(within_time())

    async def _ring(self, queue: str, bells: list[Doorbell]) -> int:
        waiting = await self._waiting(queue)
        jetstream, subject = self._client.jetstream(), self._prefix + queue
        bodies = [json.dumps(asdict(bell)).encode() for bell in bells]
        await asyncio.gather(*(jetstream.publish(subject, body) for body in bodies))
        return waiting + len(bells)

    async def _waiting(self, queue: str) -> int:
        found = await declare(self._client.jetstream(), self._prefix + queue)
        return int(found.num_pending or 0)


class NatsEngine(BrokerEngine):
    """Run jobs in processes that call `work`, and ring for them elsewhere."""

    def __init__(
        self, url: str, *, prefix: str = "roadworthy.", **options: Unpack[BrokerOptions]
    ) -> None:
        super().__init__(**options)
        self._url, self._prefix = url, prefix

    def broker(self) -> NatsBroker:
        """Return the way to the workers."""
        return NatsBroker(self._url, self._prefix)

    async def work(
        self,
        parts: Callable[[], Iterable[Any]],
        *,
        queues: Iterable[str] = ("default",),
        on_ready: Callable[[], object] = lambda: None,
    ) -> None:
        """Be a worker process: open `parts()` and run jobs of `queues` until SIGTERM."""
        opened, stop = self.open_in_workers(parts), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        opened.begin()
        client = await nats.connect(self._url, max_reconnect_attempts=-1)
        hear = [self._listen(client, queue) for queue in queues for _ in range(_AT_ONCE)]
        listening = [asyncio.create_task(each) for each in hear]
        on_ready()
        await stop.wait()
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        await asyncio.to_thread(opened.end)
        await client.close()

    async def _listen(self, client: Any, queue: str) -> None:
        """Hear the doorbells of a queue, one after the other, until cancelled."""
        jetstream, subject = client.jetstream(), self._prefix + queue
        while True:
            try:
                await declare(jetstream, subject)
                pulled = await jetstream.pull_subscribe_bind(_DURABLE, stream_of(subject))
                while True:
                    with suppress(nats.errors.TimeoutError):  # nothing came: go on asking
                        [message] = await pulled.fetch(1, timeout=_SECONDS)
                        await self._answer(message)
            except (nats.errors.Error, OSError):  # the server is away, or has lost the stream
                await asyncio.sleep(_PAUSE)

    async def _answer(self, message: Msg) -> None:
        """Acknowledge a doorbell once its jobs are claimed, or give it to another worker."""
        unheard = await asyncio.to_thread(self.hear, Doorbell(**json.loads(message.data)))
        await (message.ack() if unheard is None else message.nak(delay=_PAUSE))


def stream_of(subject: str) -> str:
    """Return the name of the stream of a subject, which takes no dots."""
    return subject.replace(".", "=")


async def declare(jetstream: Any, subject: str) -> Any:
    """Have the server know a stream and its consumer; return what it says of the latter."""
    name, retention = stream_of(subject), RetentionPolicy.WORK_QUEUE
    await jetstream.add_stream(StreamConfig(name, subjects=[subject], retention=retention))
    lost_after = timedelta(seconds=30).total_seconds()
    consumer = ConsumerConfig(durable_name=_DURABLE, ack_wait=lost_after, max_deliver=-1)
    return await jetstream.add_consumer(name, consumer)
