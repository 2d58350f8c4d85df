"""Real clients that send a large body, and what each of them sees of an early answer."""

import asyncio
import io
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
import httpx
import requests

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.chromium import Chromium

__all__ = ["UPLOADERS", "Seen", "Upload", "chromium_uploader"]

PIECE = b"x" * 65536
TIMEOUT = 20


@dataclass(frozen=True, slots=True)
class Upload:
    """What is sent: `size` bytes to `url`, with their number or in chunks."""

    url: str
    size: int
    chunked: bool = False

    @property
    def body(self) -> bytes:
        return b"x" * self.size

    def pieces(self) -> Iterator[bytes]:
        for _ in range(self.size // len(PIECE)):
            yield PIECE

    async def pieces_in_time(self) -> AsyncIterator[bytes]:
        for piece in self.pieces():
            yield piece


@dataclass(frozen=True, slots=True)
class Seen:
    """What the client tells its user: a status and a body, or an error."""

    status: int | None
    text: str = ""
    error: str = ""
    seconds: float = field(default=0.0, compare=False)

    def json(self) -> Any:
        return json.loads(self.text)


Uploader: TypeAlias = Callable[[Upload], Seen]


def with_httpx(upload: Upload) -> Seen:
    content = upload.pieces() if upload.chunked else upload.body
    response = httpx.post(upload.url, content=content, timeout=TIMEOUT, trust_env=False)
    return Seen(response.status_code, response.text)


async def with_httpx_async(upload: Upload) -> Seen:
    content = upload.pieces_in_time() if upload.chunked else upload.body
    async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
        response = await client.post(upload.url, content=content)
    return Seen(response.status_code, response.text)


def with_requests(upload: Upload) -> Seen:
    data = upload.pieces() if upload.chunked else upload.body
    with requests.Session() as session:
        session.trust_env = False
        response = session.post(upload.url, data=data, timeout=TIMEOUT)
    return Seen(response.status_code, response.text)


async def with_aiohttp(upload: Upload) -> Seen:
    data = upload.pieces_in_time() if upload.chunked else io.BytesIO(upload.body)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(upload.url, data=data) as response,
    ):
        seen = Seen(response.status, await response.text())
    await asyncio.sleep(0.1)  # its transports close after it says so
    return seen


def with_curl(upload: Upload, *more: str) -> Seen:
    command = ["curl", "-sS", "--noproxy", "*", "-m", str(TIMEOUT), "-w", "\n%{http_code}", *more]
    command += ["-X", "POST", "-H", "Content-Type: application/octet-stream", upload.url]
    command += ["-T", "-"] if upload.chunked else ["--data-binary", "@-"]
    return _heard(subprocess.run(command, input=upload.body, capture_output=True, check=False))


def with_curl_and_no_expect(upload: Upload) -> Seen:
    return with_curl(upload, "-H", "Expect:")


def with_node_fetch(upload: Upload) -> Seen:
    return _with_node(NODE_FETCH, upload)


def with_node_http(upload: Upload) -> Seen:
    return _with_node(NODE_HTTP, upload)


NODE_FETCH = """
const [url, size, chunked] = process.argv.slice(1);
const piece = Buffer.alloc(65536, 'x');
let left = size / piece.length;
const stream = new ReadableStream({
  pull(to) { if (left-- > 0) to.enqueue(piece); else to.close(); },
});
const body = chunked === 'true' ? stream : Buffer.alloc(Number(size), 'x');
fetch(url, { method: 'POST', body, duplex: 'half' })
  .then(async (reply) => console.log(`${await reply.text()}\\n${reply.status}`))
  .catch((error) => { console.error(error.cause ?? error); process.exit(1); });
"""

NODE_HTTP = """
const [url, size, chunked] = process.argv.slice(1);
const piece = Buffer.alloc(65536, 'x');
const headers = chunked === 'true' ? {} : { 'Content-Length': size };
const request = require('http').request(url, { method: 'POST', headers }, (reply) => {
  let text = '';
  reply.on('data', (data) => { text += data; });
  reply.on('end', () => { console.log(`${text}\\n${reply.statusCode}`); process.exit(0); });
});
request.on('error', (error) => { console.error(error); process.exit(1); });
let left = size / piece.length;
(function send() {
  while (left-- > 0) if (!request.write(piece)) return request.once('drain', send);
  request.end();
})();
"""


def _with_node(script: str, upload: Upload) -> Seen:
    what = [upload.url, str(upload.size), str(upload.chunked).lower()]
    command = ["node", "-e", script, *what]
    return _heard(subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False))


def _heard(done: subprocess.CompletedProcess[bytes]) -> Seen:
    """Read what a program printed: the body, and the status on a line of its own."""
    text, _, status = done.stdout.decode().strip().rpartition("\n")
    if done.returncode or status in {"", "000"}:
        return Seen(None, error=done.stderr.decode().strip())
    return Seen(int(status), text)


def chromium_uploader(chromium: "Chromium") -> Uploader:
    """Send a Blob from a page of the same origin, as a browser's form would."""
    return _told(lambda upload: chromium.run(lambda page: _from(page, upload)))


def _from(page: "Page", upload: Upload) -> Seen:
    page.goto(upload.url.rpartition("/")[0] + "/")
    status, text = page.evaluate(CHROMIUM, [upload.url, upload.size])
    return Seen(status, text) if status else Seen(None, error=text)


CHROMIUM = """async ([url, size]) => {
  const body = new Blob([new Uint8Array(size)]);
  try {
    const reply = await fetch(url, { method: 'POST', body });
    return [reply.status, await reply.text()];
  } catch (error) { return [0, String(error)]; }
}"""


def _told(uploader: Callable[[Upload], Seen | Coroutine[Any, Any, Seen]]) -> Uploader:
    def run(upload: Upload) -> Seen:
        began = time.perf_counter()
        try:
            seen = uploader(upload)
            seen = seen if isinstance(seen, Seen) else asyncio.run(seen)
        except Exception as error:  # whatever the client raises is what its user sees
            seen = Seen(None, error=f"{type(error).__name__}: {error}")
        return Seen(seen.status, seen.text, seen.error, time.perf_counter() - began)

    return run


UPLOADERS: dict[str, Uploader] = {
    "curl": _told(with_curl),
    "curl without Expect": _told(with_curl_and_no_expect),
    "httpx": _told(with_httpx),
    "httpx, async": _told(with_httpx_async),
    "requests": _told(with_requests),
    "aiohttp": _told(with_aiohttp),
    "node, fetch": _told(with_node_fetch),
    "node, http": _told(with_node_http),
}
"""Each sends and says what it saw; what it raises becomes `Seen.error`."""
