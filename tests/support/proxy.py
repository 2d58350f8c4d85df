"""A TCP proxy that fails like a network: it cuts connections, refuses them, or hangs."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Proxy"]

T = TypeVar("T")
_TURNS = 5


class Proxy:
    """Forward connections to `port` on this machine, until told to fail.

    with Proxy(5432) as proxy:
        proxy.port         what to connect to
        proxy.cut()        every connection ends, and new ones are refused
        proxy.hang()       connections stay, and nothing is forwarded
        proxy.restore()    all is well again
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._forwards: set[asyncio.Task[None]] = set()
        self._flowing: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        self._do(self._cut())

    def hang(self) -> None:
        """Forward nothing more; connections stay open, and new ones are accepted."""
        self._do(self._hang())

    def restore(self) -> None:
        """Forward what was held up, and accept connections again."""
        self._do(self._restore())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        done: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(10)

    async def _listen(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await asyncio.sleep(0)  # who was accepted just now, finds that we are closed
        for forward in self._forwards:
            forward.cancel()
        await asyncio.gather(*self._forwards, return_exceptions=True)

    async def _end(self) -> None:
        await self._cut()
        # Connections that were being accepted find that we are closed. One task accepts, and
        # begins another, which aborts the transport; that is closed in the next turn.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others, timeout=5)

    async def _hang(self) -> None:
        assert self._flowing is not None
        self._flowing.clear()

    async def _restore(self) -> None:
        if self._server is None:
            await self._listen()
        assert self._flowing is not None
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._forwards.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._forward(reader, writer)
        finally:
            self._forwards.discard(task)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._flowing is not None
        await self._flowing.wait()
        there, back = await self._open()
        try:
            both = [
                asyncio.ensure_future(self._pump(reader, back)),
                asyncio.ensure_future(self._pump(there, writer)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in both:
                    one.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        finally:
            back.transport.abort()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opening = asyncio.ensure_future(asyncio.open_connection("127.0.0.1", self._target))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:  # it may be open already: the collector would find it
            with suppress(OSError):
                (await opening)[1].transport.abort()
            raise

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        assert self._flowing is not None
        with suppress(OSError):
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
