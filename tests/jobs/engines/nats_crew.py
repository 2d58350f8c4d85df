"""Workers of the example engine for NATS, in processes of their own."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nats

from jobs.engines.crews import Crew
from jobs.engines.nats_engine import NatsEngine, stream_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsCrew(Crew):
    """Workers that call `NatsEngine.work`."""

    def new_engine(self, **options: Any) -> NatsEngine:
        return NatsEngine(self.broker, prefix=self.prefix, **{**self.engine, **options})

    def run(self, parts: Callable[..., Any], options: dict[str, Any], ready: Any) -> None:
        engine = self.new_engine(**options)
        working = engine.work(lambda: parts(engine), queues=self.queues, on_ready=ready.set)
        asyncio.run(working)

    def wipe(self) -> None:
        asyncio.run(self._with_jetstream(self._delete_streams))

    def rung_for(self) -> list[int]:
        return asyncio.run(self._with_jetstream(self._take_all))

    async def _with_jetstream(self, do: Callable[[Any], Any]) -> Any:
        client = await nats.connect(self.broker)
        try:
            return await do(client.jetstream())
        finally:
            await client.close()

    async def _delete_streams(self, jetstream: Any) -> None:
        for queue in self.queues:
            try:
                await jetstream.delete_stream(stream_of(self.prefix + queue))
            except nats.js.errors.NotFoundError:
                continue

    async def _take_all(self, jetstream: Any) -> list[int]:
        stream = stream_of(self.prefix + "default")
        pulled = await jetstream.pull_subscribe_bind("workers", stream)
        found = []
        while (await pulled.consumer_info()).num_pending:
            for message in await pulled.fetch(100, timeout=2):
                found.append(json.loads(message.data)["jobs"])
                await message.ack()
        return found
