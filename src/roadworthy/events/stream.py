"""`stream`: answer a request with the events of a topic, from where its client was."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Final, TypeAlias

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from roadworthy.events import metrics, wire
from roadworthy.events.errors import PlaceMalformed
from roadworthy.events.listener import Listener
from roadworthy.events.part import Events
from roadworthy.events.place import Place
from roadworthy.events.reading import PAGE, event_id_at, read_between
from roadworthy.lifespan import find
from roadworthy.problems import ServiceUnavailable

__all__ = ["EventStream", "MayListen", "stream"]

MayListen: TypeAlias = Callable[[], Awaitable[bool]]
"""Whether the client may still listen."""
_PARAMETER: Final = "last_event_id"
_LATER: Final = 5
"""Seconds after which somebody for whom there is no room comes again."""
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep events until its buffer is full
}


def stream(
    request: Request,
    topic: str | Iterable[str],
    *,
    may_listen: MayListen | None = None,
    ask_every: timedelta = timedelta(minutes=1),
) -> "EventStream":
    """Return the answer that tells a client of the events of a topic, or of several.

        @app.get("/orders/{order_id}/events", response_class=EventStream)
        async def order_events(request: Request, order_id: str) -> EventStream:
            return events.stream(request, f"orders/{order_id}")

    It goes on behind the event that `Last-Event-ID` names, which browsers send when they come
    back, or the query parameter `last_event_id` of a first request; without one it begins
    with what happens from now on. An event named `gap` says that some are not known any more.

    While nothing happens it holds no connection to the database, no transaction and no thread.

    Args:
        request: The request.
        topic: What to listen to.
        may_listen: Asked every `ask_every` whether the client may still listen; the stream
            ends where it returns False, and the client comes back to be refused. That it may
            at the start is for the route to say.
        ask_every: How often.

    Raises:
        PlaceMalformed: 400: the client names no place of a stream.
        ServiceUnavailable: 503: as many clients listen here as may.
        PartMissing: No `Events` is open; its text has the line of code to add.
    """
    part = find(request, Events)
    topics = frozenset([topic] if isinstance(topic, str) else topic)
    if part.feed.listeners >= part.at_most:
        raise ServiceUnavailable(retry_after=_LATER)
    return EventStream(part, topics, _wanted(request), may_listen, ask_every)


def _wanted(request: Request) -> Place | None:
    text = request.headers.get("last-event-id") or request.query_params.get(_PARAMETER)
    if not text:
        return None
    place = Place.of(text)
    if place is None:
        raise PlaceMalformed
    return place


class EventStream(Response):
    """A response of Server-Sent Events (WHATWG HTML §9.2) without an end of its own."""

    media_type = "text/event-stream"

    def __init__(
        self,
        part: Events,
        topics: frozenset[str],
        wanted: Place | None,
        may_listen: MayListen | None,
        ask_every: timedelta,
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._part, self._wanted = part, wanted
        self._told = Place(0, 0)
        self._listener = Listener(topics)
        self._may_listen, self._ask_seconds = may_listen, ask_every.total_seconds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell events until the client leaves, is too slow, may not listen any more, or a drain."""
        self._send = send
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        with self._part.feed.joined(self._listener):
            await send(start)
            async with anyio.create_task_group() as group:

                async def end_with(ends: Callable[[], Awaitable[None]]) -> None:
                    await ends()
                    group.cancel_scope.cancel()

                group.start_soon(end_with, self._tell)
                group.start_soon(end_with, lambda: _left(receive))
                group.start_soon(end_with, self._too_slow)
                if self._may_listen is not None:
                    group.start_soon(end_with, self._not_allowed)
        await send({"type": "http.response.body", "body": b""})

    async def _tell(self) -> None:
        """Tell what the client has missed, then what comes."""
        await self._catch_up()
        while True:
            await self._wait()
            # Nothing may be awaited between these two: where nothing waits, all that is before
            # the feed's place has been told, and a client may come back with that.
            await self._write(self._listener.take() or wire.heartbeat(self._place()))

    def _place(self) -> Place:
        """Return the last place before which all has been told; it never goes back."""
        here = self._part.feed.place
        if here.position > self._listener.at:
            self._listener.at = here.position
            self._told = here
        return self._told

    async def _wait(self) -> None:
        """Wait until something waits here, or the time of a heartbeat has come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._part.heartbeat.total_seconds()):
                await self._listener.ready.wait()

    async def _catch_up(self) -> None:
        extent = await self._part.feed.extent()
        wanted = self._wanted or extent.last
        place = await self._checked(wanted, extent.last, extent.pruned)
        await self._write(wire.opening(wanted if place is wanted else place))
        if place is not wanted:
            await self._write(wire.gap(place, wanted=wanted))
        await self._tell_between(place.position, extent.last.position)
        self._listener.at, self._told = extent.last.position, extent.last

    async def _checked(self, wanted: Place, last: Place, pruned: int) -> Place:
        """Return where to go on: where the client was, unless events are missing behind that."""
        if wanted.position > last.position:
            return last
        if wanted.position < pruned:
            return Place(pruned, 0)
        if wanted.event_id and wanted != last:
            async with self._part.feed.reading() as connection:
                known = await event_id_at(connection, wanted.position)
            if known is not None and known != wanted.event_id:
                return last
        return wanted

    async def _tell_between(self, after: int, until: int) -> None:
        """Tell events that are in the table, a page at a time: none is held while one is sent."""
        while after < until:
            async with self._part.feed.reading() as connection:
                found = await read_between(connection, after, until, self._listener.topics)
            mine = [wire.encode(e) for e in found if e.topic in self._listener.topics]
            if mine:
                await self._write(b"".join(mine))
            if len(found) < PAGE:
                return
            after = found[-1].position

    async def _write(self, chunk: bytes) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _too_slow(self) -> None:
        await self._listener.slow.wait()
        metrics.ended_slow()

    async def _not_allowed(self) -> None:
        while self._may_listen is not None:
            await anyio.sleep(self._ask_seconds)
            if not await self._may_listen():
                return


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
