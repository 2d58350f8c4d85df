"""Row X4: `receive()` gives an awaitable, and ASGI promises no more.

An answer slower than 50 ms is the one for which the server is asked whether its client is
still there. Whatever it then gives, does or raises, that changes no answer.
"""

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from roadworthy import problems
from roadworthy.problems import Outcome
from support.asgi import ask

Message = dict[str, Any]
SLOW = 0.06
EMPTY: Message = {"type": "http.request", "body": b"", "more_body": False}
LEFT: Message = {"type": "http.disconnect"}


class Ended:
    """Hears how requests end."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def began(self, scope: Any) -> None: ...

    def ended(self, scope: Any, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def service() -> tuple[FastAPI, Ended]:
    app, ended = FastAPI(), Ended()
    problems.install(app)
    problems.watch(app, ended)

    @app.post("/success", status_code=201)
    async def success() -> str:
        await asyncio.sleep(SLOW)
        return "done"

    @app.post("/refusal")
    async def refusal() -> None:
        await asyncio.sleep(SLOW)
        raise HTTPException(409, "Not now.")

    @app.post("/crash")
    async def crash() -> None:
        await asyncio.sleep(SLOW)
        raise RuntimeError

    @app.post("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> Any:
            yield b"one "
            await asyncio.sleep(SLOW)
            yield b"two"

        return StreamingResponse(pieces())

    return app, ended


class Native:
    """As Granian's: an iterator with `__next__`, and nothing else that a coroutine has."""

    def __init__(self, future: asyncio.Future[Message]) -> None:
        self.future = future

    def __await__(self) -> Any:
        # no generator, which would have close()
        return map(lambda step: step, iter(self.future.__await__()))  # noqa: C417


class WithSend(Native):
    def __await__(self) -> Any:
        class Steps:
            def __init__(self, inner: Any) -> None:
                self.inner = inner

            def __iter__(self) -> Any:
                return self

            def __next__(self) -> Any:
                return next(self.inner)

            def send(self, value: object) -> Any:
                return self.inner.send(value)

        return Steps(self.future.__await__())


class OwnIterator:
    """A native future that is its own iterator, with what a future has."""

    _asyncio_future_blocking = False

    def __init__(self, future: asyncio.Future[Message]) -> None:
        self.future, self.inner = future, iter(future.__await__())

    def __await__(self) -> Any:
        return self

    __iter__ = __await__

    def __next__(self) -> Any:
        return next(self.inner)

    def cancel(self) -> bool:
        raise AssertionError("nobody may cancel what belongs to the server")

    def done(self) -> bool:
        return self.future.done()

    def result(self) -> Message:
        return self.future.result()


class Generators(Native):
    def __await__(self) -> Generator[Any, None, Message]:
        return (yield from self.future.__await__())


@types.coroutine
def generator_based(future: asyncio.Future[Message]) -> Generator[Any, Any, Message]:
    return (yield from future.__await__())


async def coroutine(future: asyncio.Future[Message]) -> Message:
    return await future


async def coroutine_of_native(future: asyncio.Future[Message]) -> Message:
    return await Native(future)


async def stubborn(future: asyncio.Future[Message]) -> Message:
    """Cannot be closed: it goes on waiting."""
    try:
        return await future
    except GeneratorExit:
        await asyncio.sleep(0)
        raise


def task(future: asyncio.Future[Message]) -> Awaitable[Message]:
    return asyncio.ensure_future(coroutine(future))


AWAITABLES: dict[str, Callable[[asyncio.Future[Message]], Awaitable[Message]]] = {
    "a native iterator": Native,
    "an iterator with send": WithSend,
    "its own iterator": OwnIterator,
    "a generator": Generators,
    "a generator-based coroutine": generator_based,
    "a coroutine": coroutine,
    "a coroutine around a native one": coroutine_of_native,
    "a coroutine that cannot be closed": stubborn,
    "a future": lambda future: future,
    "a task": task,
}


class Server:
    """Gives the messages, then what never comes, each as an awaitable of one kind."""

    def __init__(self, make: Callable[[asyncio.Future[Message]], Awaitable[Message]]) -> None:
        self.make, self.messages, self.given = make, [EMPTY], list[Any]()

    def receive(self) -> Awaitable[Message]:
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        if self.messages:
            future.set_result(self.messages.pop(0))
        self.given.append(self.make(future))
        return self.given[-1]

    async def close(self) -> None:
        for given in self.given:
            if isinstance(given, asyncio.Task):
                given.cancel()


@pytest.mark.parametrize("kind", AWAITABLES)
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/success", 201, b"done"), ("/refusal", 409, b"Not now."), ("/stream", 200, b"one two")],
)
async def test_a_slow_answer_is_whole_whatever_receive_gives(kind, path, status, body):
    app, _ = service()
    server = Server(AWAITABLES[kind])

    sent = await ask(app, "POST", path, receive=server.receive)
    await server.close()

    assert (sent.status, sent.complete) == (status, True)
    assert body in sent.body


@pytest.mark.parametrize("kind", AWAITABLES)
async def test_a_slow_crash_is_answered_whatever_receive_gives(kind):
    app, _ = service()
    server = Server(AWAITABLES[kind])

    sent = await ask(app, "POST", "/crash", receive=server.receive)
    await server.close()

    assert (sent.status, sent.json()["error"]["code"]) == (500, "INTERNAL_ERROR")


def raises_at_once() -> Awaitable[Message]:
    raise RuntimeError("asked again")


async def raises() -> Message:
    raise RuntimeError("asked again")


async def was_cancelled() -> Message:
    raise asyncio.CancelledError


async def gives_nonsense() -> Any:
    return None


def is_no_awaitable() -> Any:
    return 7


@pytest.mark.parametrize(
    "receive", [raises_at_once, raises, was_cancelled, gives_nonsense, is_no_awaitable]
)
async def test_a_receive_that_fails_when_it_is_asked_again_changes_nothing(receive):
    app, ended = service()

    sent = await ask(app, "POST", "/success", receive=receive)

    assert (sent.status, sent.json(), sent.complete) == (201, "done", True)
    assert [outcome.client_left for outcome in ended.outcomes] == [False]


@pytest.mark.parametrize("kind", ["a coroutine", "a coroutine around a native one", "a future"])
@pytest.mark.parametrize(("messages", "left"), [([EMPTY], False), ([EMPTY, LEFT], True)])
async def test_a_client_that_has_left_is_told_from_one_that_has_not(kind, messages, left):
    app, ended = service()
    server = Server(AWAITABLES[kind])
    server.messages = list(messages)

    await ask(app, "POST", "/success", receive=server.receive)

    assert [outcome.client_left for outcome in ended.outcomes] == [left]


async def test_nothing_of_the_servers_is_cancelled():
    app, _ = service()
    shared: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    await ask(app, "POST", "/success", receive=lambda: shared)

    assert not shared.cancelled()
