"""One request without a server, for what no real server can be made to do."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Sent", "ask", "scope_of"]

Message = dict[str, Any]


@dataclass(slots=True)
class Sent:
    """What an application sent."""

    messages: list[Message] = field(default_factory=list[Message])

    async def send(self, message: Message) -> None:
        self.messages.append(dict(message))

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {n.decode().lower(): v.decode() for n, v in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def complete(self) -> bool:
        return len(self.messages) > 1 and not self.messages[-1].get("more_body", False)

    def json(self) -> Any:
        return json.loads(self.body)


def scope_of(method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Message:
    """Make the scope that a server would."""
    path, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(n.lower().encode(), v.encode()) for n, v in (headers or {}).items()],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 50000),
        "state": {},
        **more,
    }


async def ask(
    app: Any,
    method: str,
    path: str,
    *,
    receive: Callable[[], Awaitable[Message]],
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Sent:
    """Serve one request, whose messages come from `receive`."""
    sent = Sent()
    await app(scope_of(method, path, headers, **more), receive, sent.send)
    return sent
