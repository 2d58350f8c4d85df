"""`stream`: answer a request with the events of a topic, from where its client was."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from roadworthy._internal.durations import duration
from roadworthy.events import metrics, wire
from roadworthy.events.errors import PlaceMalformed, TopicUnknown
from roadworthy.events.listener import Listener
from roadworthy.events.part import Events
from roadworthy.events.place import Place
from roadworthy.events.publishing import is_topic
from roadworthy.events.reading import Page
from roadworthy.lifespan import find

__all__ = ["EventStream", "MayListen", "stream"]

_log = logging.getLogger("roadworthy.events")

MayListen: TypeAlias = Callable[[], Awaitable[bool]]
"""Whether the client may still listen."""
_PARAMETER: Final = "last_event_id"
_LATER: Final = 5
"""Seconds after which somebody for whom there is no room comes again."""
_PAGE: Final = 64
"""Events that are read at once for one client that was away: so many as it may be sent at once."""
_LAST: Final = 1.0
"""Seconds for the end of a body: a client that does not read would keep it for ever."""
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
        TopicUnknown: 404: nothing can be published under a topic that long, or with such
            characters; it may come from the path.
        ServiceUnavailable: 503: as many clients listen here as may.
        ValueError: There is no topic, or `ask_every` is not above zero.
        PartMissing: No `Events` is open; its text has the line of code to add.
    """
    duration(ask_every, "ask_every", example="timedelta(minutes=1)", above=timedelta(0))
    part, topics = find(request, Events), _topics(topic)
    part.check_room()
    return EventStream(part, topics, _wanted(request), may_listen, ask_every)


def _topics(topic: str | Iterable[str]) -> frozenset[str]:
    topics = frozenset([topic] if isinstance(topic, str) else topic)
    if not topics:
        raise ValueError("A stream has at least one topic, and this has none.")
    if not all(map(is_topic, topics)):
        raise TopicUnknown
    return topics


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
        *,
        status_code: int = 200,  # OpenAPI of FastAPI reads it here
    ) -> None:
        super().__init__(status_code=status_code, headers=_HEADERS)
        del self.headers["content-length"]
        self._part, self._wanted = part, wanted
        self._listener = Listener(topics)
        self._may_listen, self._ask_seconds = may_listen, ask_every.total_seconds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell events until the client leaves, is too slow, may not listen any more, or a drain."""
        self._part.check_room()  # others may have come since the route asked
        self._send = send
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        with self._part.feed.joined(self._listener):
            await send(start)
            await self._tell_until_the_end(receive)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST):
                await send({"type": "http.response.body", "body": b""})

    async def _tell_until_the_end(self, receive: Receive) -> None:
        """Tell events until one of those who watch over that has a reason to end it."""
        async with anyio.create_task_group() as group:

            async def end_with(ends: Callable[[], Awaitable[None]]) -> None:
                await ends()
                group.cancel_scope.cancel()

            group.start_soon(end_with, partial(_left, receive))
            if self._may_listen is not None:
                group.start_soon(end_with, partial(self._refused, self._may_listen))
            await end_with(self._tell)

    async def _tell(self) -> None:
        """Tell what the client has missed, then what comes."""
        try:
            await self._write(wire.retry())
            await self._begin()
            while True:
                await self._wait()
                if self._listener.is_behind:
                    await self._catch_up()
                else:
                    await self._write(self._next())
        except _TooSlow:
            metrics.ended_slow()
        except Exception as error:  # whatever a driver raises: the client comes back, and goes on
            _log.warning("A stream of events has ended early: %s", type(error).__name__)

    async def _begin(self) -> None:
        here = await self._part.feed.begin()
        self._listener.at = self._wanted or here
        if self._wanted is None:  # so that it comes back to here, whatever happens first
            await self._write(wire.moved_on(here))
        else:
            await self._catch_up()

    def _next(self) -> bytes:
        """Return what waits, or a heartbeat that says up to where nothing has happened."""
        # Nothing may be awaited in here: where nothing waits, all that is before the place of the
        # feed has been told, and the client may come back with that.
        if chunk := self._listener.take():
            return chunk
        here = self._part.feed.place
        if here.position > self._listener.at.position:
            self._listener.at = here
        return wire.moved_on(self._listener.at)

    async def _wait(self) -> None:
        """Wait until something waits here, or the time of a heartbeat has come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._part.heartbeat.total_seconds()):
                await self._listener.ready.wait()

    async def _catch_up(self) -> None:
        """Tell what is in the table, a page at a time: no connection is held while one is sent."""
        listener = self._listener
        listener.begin_to_collect()
        more = True
        while more:
            page = await self._part.feed.page(listener.at, listener.topics, limit=_PAGE)
            if not page.follows(listener.at):
                await self._tell_gap(page)
                continue
            more = page.is_full
            if page.events:
                await self._write(b"".join(map(wire.encode, page.events)))
            listener.at = page.reached

    async def _tell_gap(self, page: Page) -> None:
        wanted = self._listener.at
        place = page.last if page.is_another_order(wanted) else Place(page.pruned, 0)
        await self._write(wire.gap(place, wanted=wanted))
        self._listener.at = place

    async def _write(self, chunk: bytes) -> None:
        try:
            async with asyncio.timeout(self._part.patience.total_seconds()):
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError as error:
            raise _TooSlow from error

    async def _refused(self, may_listen: MayListen) -> None:
        """Return once the client may not listen any more, or nobody can say."""
        allowed = True
        while allowed:
            await asyncio.sleep(self._ask_seconds)
            try:
                allowed = await may_listen()
            except Exception as error:  # the client comes back, and its route asks at the start
                _log.warning("Nobody could say who may listen: %s", type(error).__name__)
                return


class _TooSlow(Exception):
    """The client has not taken what was sent, for longer than it may."""


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
