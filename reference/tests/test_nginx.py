"""deploy/nginx.conf, as it is shipped: a real nginx in front of a real Depot."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.debian import Unavailable, program
from support.sample_files import pdf, png, zip_of

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx.conf"
ORIGIN = {"Origin": "http://localhost:3000"}
MiB = 2**20


def render(upstream: str, port: int, folder: Path, **replaced: str) -> str:
    """The shipped file, with the addresses, files and times of a test."""
    text = SHIPPED.read_text()
    changes = {
        "worker_processes auto;": "worker_processes 1; daemon off; master_process off; "
        f"pid {folder}/nginx.pid;",
        "http {\n": "http {\n"
        + "".join(
            f"{name}_temp_path {folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
        "listen 80;": f"listen 127.0.0.1:{port};",
        "server 127.0.0.1:8000 ": f"server {upstream} ",
        "/var/log/nginx": str(folder),
        **replaced,
    }
    for old, new in changes.items():
        assert text.count(old), f"{old!r} is not in the file"
        text = text.replace(old, new)
    return text


@dataclass
class Front:
    """A running nginx."""

    url: str
    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, **options)

    def log(self) -> str:
        return "".join(p.read_text(errors="replace") for p in sorted(self.folder.glob("*.log")))


StartFront = Callable[..., Front]


@pytest.fixture(scope="module")
def start_front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartFront]:
    """Start nginx in front of an address, with the file that is shipped."""
    try:
        binary = program("nginx", package="nginx-light")
    except Unavailable as reason:
        pytest.skip(f"needs nginx: {reason}")
    fronts: list[Front] = []

    def start(url: str, **replaced: str) -> Front:
        folder, port = tmp_path_factory.mktemp("nginx"), _free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(render(urlsplit(url).netloc, port, folder, **replaced))
        with (folder / "output.log").open("wb") as output:
            process = subprocess.Popen(
                [binary, "-p", folder, "-c", configuration, "-e", folder / "error.log"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        fronts.append(Front(f"http://127.0.0.1:{port}", port, folder, process))
        _wait_for(fronts[-1])
        return fronts[-1]

    yield start
    for front in fronts:
        front.process.send_signal(signal.SIGTERM)
        front.process.wait(10)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def _wait_for(front: Front) -> None:
    deadline = time.monotonic() + 10
    while front.process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", front.port), 1)):
            return
        time.sleep(0.02)
    raise AssertionError(f"nginx should start and did not:\n{front.log()}")


@pytest.fixture(scope="module")
def behind(start_briefly_: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The Depot behind it, on SQLite."""
    return start_briefly_(DEPOT_DATA_DIR=str(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def start_briefly_(start_depot: Any) -> Any:
    return start_depot


@pytest.fixture(scope="module")
def front(start_front: StartFront, behind: Any) -> Front:
    """The file as it is, but for a head that has to come within a second."""
    return start_front(behind.url, **{"client_header_timeout 10s;": "client_header_timeout 1s;"})


def _files(content: bytes, media_type: str = "image/png") -> dict[str, Any]:
    return {"file": ("a.png", content, media_type)}


def _error(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "path", "request_id", "details"}
    assert error["code"] == answer.headers["x-error-code"]
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"]


def test_a_file_goes_up_and_comes_down_in_ranges(front: Front) -> None:
    content = png(300, 200)
    with front.client() as client:
        added = client.post("/documents", files=_files(content), headers={"X-Request-ID": "up-1"})
        path = added.headers["location"] + "/content"
        whole = client.get(path)
        part = client.get(path, headers={"Range": "bytes=10-19"})
        beyond = client.get(path, headers={"Range": f"bytes={len(content)}-"})
        same = client.get(path, headers={"If-None-Match": whole.headers["etag"]})

    assert (added.status_code, added.headers["x-request-id"]) == (201, "up-1")
    assert whole.content == content
    assert (part.status_code, part.content) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    assert _error(beyond) == (416, "RANGE_NOT_SATISFIABLE")
    assert same.status_code == 304


def test_refusals_of_depot_pass_as_they_are(front: Front) -> None:
    with front.client() as client:
        answers = [
            client.post("/documents", files=_files(b"<html></html>")),
            client.post("/documents", files=_files(png(3, 3) + b"more")),
            client.post("/documents", files=_files(png(3, 3)[:-9])),
            client.post("/documents", files={"other": b"x"}),
            client.post("/documents", files=_files(png(4, 4, noise=6 * MiB))),
            client.get("/documents/nope"),
            client.post("/inventory", content=b"{", headers={"Content-Type": "application/json"}),
        ]

    assert [_error(answer) for answer in answers] == [
        (415, "UNSUPPORTED_MEDIA_TYPE"),
        (422, "FILE_REJECTED"),
        (422, "FILE_REJECTED"),
        (422, "VALIDATION_FAILED"),
        (413, "PAYLOAD_TOO_LARGE"),
        (404, "DOCUMENT_NOT_FOUND"),
        (400, "MALFORMED_BODY"),
    ]


def test_a_refusal_by_the_first_bytes_arrives_though_more_were_to_come(front: Front) -> None:
    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
        yield b"<html>" + bytes(64 * 1024)
        yield from (bytes(64 * 1024) for _ in range(64))

    with front.client() as client:
        answer = client.post(
            "/archives",
            content=body(),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )

    assert _error(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("path", "size"),
    [("/documents", 9 * MiB), ("/archives", 2100 * MiB), ("/inventory", 2 * MiB)],
)
def test_what_is_over_the_limit_does_not_reach_depot(
    front: Front, behind: Any, path: str, size: int
) -> None:
    told = len(behind.lines)
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: depot\r\nContent-Length: {size}\r\n"
            f"Origin: http://localhost:3000\r\nX-Request-ID: too-long\r\n\r\n".encode()
        )
        answer = _read_answer(connection)

    assert _error(answer) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.json()["error"]["path"] == path
    assert answer.headers["x-request-id"] == "too-long"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    with front.client() as client:
        client.get("/livez", headers={"X-Request-ID": "afterwards"})
    assert any("afterwards" in line for line in _lines_since(behind, told, "afterwards"))
    assert not any("too-long" in line for line in behind.lines)


def _lines_since(depot: Any, told: int, wanted: str) -> list[str]:
    deadline = time.monotonic() + 5
    while not any(wanted in line for line in depot.lines[told:]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return list(depot.lines[told:])


def _read_answer(connection: socket.socket) -> httpx.Response:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in lines]
    length = int({k.lower(): v for k, v in headers}["content-length"])
    while len(body) < length:
        body += _more(connection)
    return httpx.Response(int(first.split()[1]), headers=headers, content=body)


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    assert received, "the connection was closed"
    return received


def test_a_head_that_comes_slowly_is_cut(front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: depot\r\n")
        began = time.monotonic()
        # Whatever may come before the end of the connection is not an answer of Depot.
        while received := connection.recv(65536):
            assert not received.startswith(b"HTTP/1.1 200")

        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n", 414, "URI_TOO_LONG"),
        (
            b"GET / HTTP/1.1\r\nHost: depot\r\nCookie: " + b"x" * 9000 + b"\r\n",
            431,
            "REQUEST_HEADER_FIELDS_TOO_LARGE",
        ),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n", 400, "BAD_REQUEST"),
        (b"GET / HTTP/9.0\r\nHost: depot\r\n", 505, "HTTP_VERSION_NOT_SUPPORTED"),
        (b"TRACE / HTTP/1.1\r\nHost: depot\r\n", 405, "METHOD_NOT_ALLOWED"),
        (
            b"POST / HTTP/1.1\r\nHost: depot\r\nTransfer-Encoding: x\r\n",
            *(501, "NOT_IMPLEMENTED"),
        ),
    ],
)
def test_what_is_no_request_is_answered_in_the_same_shape(
    front: Front, line: bytes, status: int, code: str
) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(line + b"\r\n")
        answer = _read_answer(connection)

    assert _error(answer) == (status, code)


def test_while_depot_is_away_the_answer_is_that_of_a_service_that_is_not_available(
    start_front: StartFront, closed_port: int
) -> None:
    away = start_front(f"http://127.0.0.1:{closed_port}")
    with away.client() as client:
        answer = client.get('/inventory/a"b', headers=ORIGIN)
        plain = client.get("/inventory/a?token=secret", headers={"X-Request-ID": 'x"y'})

    assert _error(answer) == _error(plain) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert plain.json()["error"]["path"] == "/inventory/a"
    assert "access-control-allow-origin" not in plain.headers


def test_one_client_cannot_take_all(start_front: StartFront, behind: Any) -> None:
    modest = start_front(behind.url, **{"rate=100r/s": "rate=1r/s", "burst=200": "burst=5"})
    with modest.client() as client:
        answers = [client.get("/livez") for _ in range(10)]

    assert [answer.status_code for answer in answers[:6]] == [200] * 6
    assert _error(answers[-1]) == (503, "SERVICE_UNAVAILABLE")


def test_depot_is_told_who_asks_and_how(front: Front, behind: Any) -> None:
    told = len(behind.lines)
    with front.client() as client:
        first = client.get("/livez")
        second = client.get("/livez", headers={"X-Request-ID": "a b"})

    ids = [answer.headers["x-request-id"] for answer in (first, second)]
    assert len(set(ids)) == 2
    assert "a b" not in ids
    lines = _lines_since(behind, told, ids[1])
    assert all(any(one in line for line in lines) for one in ids)
    assert all(one in front.log() for one in ids)


def test_rows_come_through_as_they_are_written(front: Front) -> None:
    with front.client() as client, client.stream("GET", "/reports/financial.csv") as answer:
        answer.read()

    assert answer.status_code == 200
    assert answer.text.startswith("order_id,")


def test_a_document_has_a_thumbnail_through_it(
    front: Front, eventually: Callable[..., Any]
) -> None:
    with front.client() as client:
        added = client.post("/documents", files={"file": ("a.pdf", pdf(), "application/pdf")})
        path = added.headers["location"] + "/thumbnail"
        small = eventually(lambda: client.get(path), lambda answer: answer.status_code == 200)
        archive = client.post("/archives", files={"file": ("a.zip", zip_of({"a": b"b"}))})

    assert small.headers["content-type"] == "image/png"
    assert archive.status_code == 201
