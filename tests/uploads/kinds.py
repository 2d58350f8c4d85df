"""`Kinds`: send a file to a route of `kinds_service`, in each way that there is."""

import base64
from dataclasses import dataclass
from typing import Any, Final

from support.http import RawClient, Reply
from support.server import Server
from uploads.conftest import BOUNDARY, body_of, part_of

__all__ = ["WAYS", "Kinds", "Outcome"]

WAYS: Final = ("multipart", "raw", "tus")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: `201 text/csv`, or `415 contradicts` and its message."""

    status: int
    told: str
    """The media type where the file was taken, else the reason why it was not."""
    message: str = ""

    def __str__(self) -> str:
        return f"{self.status} {self.told}"


class Kinds:
    """The service, and ways to send it files."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def send(
        self, route: str, content: bytes, *, declared: str | None = None, way: str = "multipart"
    ) -> Outcome:
        """Send a file to the route of this name."""
        with RawClient(self.server.port, timeout=60) as client:
            return _outcome(getattr(self, f"_{way}")(client, f"/{route}", content, declared))

    def post(self, path: str, body: bytes) -> Reply:
        """Send a multipart body, as it is."""
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        with RawClient(self.server.port, timeout=60) as client:
            return client.request("POST", path, headers=headers, body=body)

    def _multipart(
        self, client: RawClient, path: str, content: bytes, declared: str | None
    ) -> Reply:
        body = body_of(part_of(content, filename="a.bin", media_type=declared))
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        return client.request("POST", path, headers=headers, body=body)

    def _raw(self, client: RawClient, path: str, content: bytes, declared: str | None) -> Reply:
        headers = {} if declared is None else {"Content-Type": declared}
        return client.request("POST", f"{path}/raw", headers=headers, body=content)

    def _tus(self, client: RawClient, path: str, content: bytes, declared: str | None) -> Reply:
        tus = {"Tus-Resumable": "1.0.0"}
        said = f"filetype {base64.b64encode((declared or '').encode()).decode()}"
        asked = {**tus, "Upload-Length": str(len(content)), "Upload-Metadata": said}
        created = client.request("POST", f"{path}/tus", headers=asked)
        if created.status >= 400:
            return created
        going = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        where = f"{path}/{created.headers['location']}"
        return client.request("PATCH", where, headers=going, body=content)


def _outcome(answer: Reply) -> Outcome:
    told: Any = answer.json()
    if answer.status < 400:
        return Outcome(201, told[1])
    error = told["error"]
    reasons = [one.get("reason") or one["code"] for one in error["details"]]
    return Outcome(answer.status, ", ".join(reasons) or error["code"], error["message"])
