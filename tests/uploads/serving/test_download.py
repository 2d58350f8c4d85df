"""Downloads: what is sent, what is not sent again, and what happens when either side fails."""

import base64
import hashlib
import io
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from PIL import Image

from support.http import RawClient, Reply
from support.polling import until
from support.server import Server, uvicorn_command

TESTS = Path(__file__).parents[2]
MIB = 1024 * 1024
DATA = bytes(range(256)) * 40
MODIFIED = 1_700_000_000
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
LATER = "Tue, 14 Nov 2023 22:13:21 GMT"
EARLIER = "Tue, 14 Nov 2023 22:13:19 GMT"
TAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


class Service:
    """The service, its directory of files, and what it has done since the test began."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.server, self.directory = server, directory
        self.wait_until_closed()
        self.began = self.counts()

    def put(self, name: str, data: bytes = DATA) -> None:
        path = self.directory / name
        path.write_bytes(data)
        os.utime(path, (MODIFIED, MODIFIED + 0.75))

    def put_large(self, name: str, size: int) -> None:
        with (self.directory / name).open("wb") as file:
            file.truncate(size)

    def get(self, target: str, method: str = "GET", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with RawClient(self.server.port) as client:
            return client.request(method, f"/files/{target}", headers=named)

    def counts(self) -> dict[str, int]:
        with RawClient(self.server.port) as client:
            return dict(client.request("GET", "/counts").json())

    def count(self, what: str) -> int:
        return self.counts()[what] - self.began[what]

    def wait_until_closed(self) -> None:
        until(lambda: self.counts()["open"] == 0)

    def memory(self) -> int:
        pages = int(Path(f"/proc/{self.server.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(folder: Path, *args: str, **env: str) -> Iterator[tuple[Server, Path]]:
    directory = folder / "files"
    directory.mkdir()
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")]))
    server = Server(
        uvicorn_command("uploads.download_app:create_app", *args, factory=True),
        log=folder / "server.log",
        env={"PYTHONPATH": path, "FILES": str(directory), **env},
    )
    try:
        yield server, directory
    finally:
        server.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    with serving(tmp_path_factory.mktemp("download")) as server:
        yield server


@pytest.fixture
def service(running: tuple[Server, Path]) -> Service:
    service = Service(*running)
    service.put("a.bin")
    return service


@pytest.fixture(scope="module", params=["h11", "httptools"])
def http(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["yes", "no"])
def any_service(
    request: pytest.FixtureRequest, http: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service behind each of uvicorn's parsers, with and without the error contract."""
    folder = tmp_path_factory.mktemp("download")
    with serving(folder, "--http", http, CONTRACT=request.param) as server:
        yield Service(*server)


# --- the whole file -------------------------------------------------------------------


def test_a_file_is_sent_whole_with_all_that_tells_of_it(service):
    answer = service.get("a.bin")

    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    assert (answer.status, answer.body, answer.complete) == (200, DATA, True)
    assert answer.headers.items() >= {
        ("content-length", str(len(DATA))),
        ("content-type", "application/octet-stream"),
        ("content-disposition", 'attachment; filename="a.bin"'),
        ("etag", TAG),
        ("last-modified", DATE),
        ("accept-ranges", "bytes"),
        ("repr-digest", f"sha-256=:{digest}:"),
        ("cache-control", "private, no-cache"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("cross-origin-resource-policy", "same-site"),
    }
    service.wait_until_closed()


def test_head_tells_the_same_and_sends_nothing(service):
    head, whole = service.get("a.bin", "HEAD", range="bytes=0-4"), service.get("a.bin")

    assert head.status == 200
    assert without_date(head) == without_date(whole)
    assert service.count("read") == len(DATA)  # by the GET alone
    service.wait_until_closed()


def without_date(answer: Reply) -> dict[str, str]:
    varying = {"date", "x-request-id"}
    return {name: value for name, value in answer.headers.items() if name not in varying}


def test_no_file_was_changed_in_the_future(service):
    later = time.time() + 86_400
    os.utime(service.directory / "a.bin", (later, later))

    changed = parsedate_to_datetime(service.get("a.bin").headers["last-modified"])

    assert changed.timestamp() <= time.time()  # RFC 9110 §8.8.2.1


def test_a_connection_is_kept_for_the_next_download(service):
    with RawClient(service.server.port) as client:
        answers = [client.request(m, "/files/a.bin") for m in ("GET", "HEAD", "GET")]

    assert [len(answer.body) for answer in answers] == [len(DATA), 0, len(DATA)]


def test_an_empty_file_is_sent(service):
    service.put("empty.bin", b"")

    answer = service.get("empty.bin")

    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "0", b"")


def test_a_name_is_sent_in_utf8_and_says_no_more_than_a_name(service):
    answer = service.get("a.bin?called=%22%0D%0ASet-Cookie:x%0D%0A/Z%C3%BCrich.pdf")

    disposition = answer.headers["content-disposition"]
    assert disposition == "attachment; filename=\"Zurich.pdf\"; filename*=UTF-8''Z%C3%BCrich.pdf"
    assert "set-cookie" not in answer.headers


def test_caching_can_be_allowed(service):
    answer = service.get("a.bin?cache=public,max-age=60")

    assert answer.headers["cache-control"] == "public,max-age=60"


@pytest.mark.parametrize("name", ["a.png", "a.pdf", "a.txt"])
def test_what_is_safe_is_shown_in_place_when_asked_for(service, name):
    service.put(name)

    assert service.get(name).headers["content-disposition"].startswith("attachment;")
    shown = service.get(f"{name}?inline=1").headers
    assert shown["content-disposition"].startswith("inline;")
    assert "default-src 'none'" in shown["content-security-policy"]


def test_text_says_its_encoding(service):
    service.put("a.txt", "Übung".encode())

    assert service.get("a.txt").headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.bin"])
def test_what_could_run_is_never_shown_in_place(service, name):
    service.put(name)

    answer = service.get(f"{name}?inline=1")

    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"].startswith("sandbox;")


# --- a part of it ---------------------------------------------------------------------

SIZE = len(DATA)


@pytest.mark.parametrize(
    ("wanted", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=10000-", 10000, SIZE),
        ("bytes=-7", SIZE - 7, SIZE),
        (f"bytes=-{SIZE + 5}", 0, SIZE),
        (f"bytes=100-{SIZE * 9}", 100, SIZE),
        (f"bytes={SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE),
        ("BYTES= 5 - 9 ", 5, 10),
    ],
)
def test_a_range_is_sent_alone(service, wanted, first, end):
    answer = service.get("a.bin", range=wanted)

    assert (answer.status, answer.body) == (206, DATA[first:end])
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - first)
    assert (answer.headers["etag"], answer.headers["last-modified"]) == (TAG, DATE)


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=0-1,5-6",
        "bytes=9-5",
        "bytes=-",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes=1-2-3",
        "bytes",
        "items=0-1",
        "bytes=" + "9" * 5000 + "-",
        "bytes=\u0663-\u0664".encode().decode("latin-1"),
    ],
)
def test_several_ranges_and_malformed_ones_are_answered_with_the_whole(service, wanted):
    answer = service.get("a.bin", range=wanted)

    assert (answer.status, answer.body) == (200, DATA)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("wanted", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 4}", "bytes=-0"])
def test_a_range_outside_of_the_file_is_refused(service, wanted):
    answer = service.get("a.bin", range=wanted)

    assert (answer.status, answer.headers["x-error-code"]) == (416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"
    assert answer.json()["error"]["details"] == []
    service.wait_until_closed()


@pytest.mark.parametrize("known", [TAG, DATE])
def test_a_range_goes_on_where_the_file_is_the_same(service, known):
    assert service.get("a.bin", range="bytes=5-", if_range=known).body == DATA[5:]


@pytest.mark.parametrize("known", ['"other"', f"W/{TAG}", LATER, EARLIER, "nonsense", TAG[1:-1]])
def test_a_range_becomes_the_whole_where_the_file_may_be_another(service, known):
    answer = service.get("a.bin", range="bytes=5-", if_range=known)

    assert (answer.status, answer.body) == (200, DATA)


# --- what the client has --------------------------------------------------------------


@pytest.mark.parametrize("known", [TAG, f"W/{TAG}", f'"a", {TAG}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_has_is_not_sent_nor_opened(service, known, method):
    answer = service.get("a.bin", method, if_none_match=known, if_modified_since=EARLIER)

    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", TAG)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "content-type" not in answer.headers
    assert service.count("opened") == 0


@pytest.mark.parametrize("since", [DATE, LATER])
def test_what_has_not_changed_since_is_not_sent(service, since):
    answer = service.get("a.bin", if_modified_since=since)

    assert (answer.status, answer.headers["last-modified"]) == (304, DATE)
    service.wait_until_closed()


@pytest.mark.parametrize(
    "headers",
    [
        {"if_none_match": '"other"'},
        {"if_none_match": '"other"', "if_modified_since": LATER},  # the tag decides
        {"if_none_match": TAG[1:-1]},
        {"if_modified_since": EARLIER},
        {"if_modified_since": "nonsense"},
        {"if_modified_since": "Tue, 99 Nov 99999 22:13:20 GMT"},
        {"if_match": TAG},
        {"if_match": f'"other", {TAG}'},
        {"if_match": "*"},
        {"if_match": TAG, "if_unmodified_since": EARLIER},
        {"if_unmodified_since": DATE},
    ],
)
def test_what_the_client_has_not_is_sent(service, headers):
    assert service.get("a.bin", **headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"if_match": '"other"'},
        {"if_match": f"W/{TAG}"},
        {"if_match": '"other"', "if_none_match": TAG},
        {"if_unmodified_since": EARLIER},
        {"if_unmodified_since": EARLIER, "range": "bytes=5-"},
    ],
)
def test_a_client_that_goes_on_with_another_file_is_told(service, headers):
    answer = service.get("a.bin", **headers)

    assert (answer.status, answer.headers["x-error-code"]) == (412, "PRECONDITION_FAILED")


# --- failures -------------------------------------------------------------------------


def test_a_file_that_the_store_has_lost_is_our_failure(service):
    answer = service.get("lost.bin")

    assert (answer.status, answer.headers["x-error-code"]) == (500, "INTERNAL_ERROR")
    service.server.wait_for_log("lost.bin is not in the store, though a row names it")


def test_a_file_of_another_size_than_its_row_says_is_our_failure(service):
    service.put("other-size.bin")

    answer = service.get("other-size.bin")

    assert answer.status == 500
    service.server.wait_for_log("Something else has written there")
    service.wait_until_closed()


def test_a_store_that_is_away_is_answered_503(service):
    answer = service.get("away.bin")

    assert (answer.status, answer.headers["x-error-code"]) == (503, "SERVICE_UNAVAILABLE")
    service.server.wait_for_log("the store is away")


@pytest.mark.parametrize("name", ["breaks.bin", "short.bin", "long.bin"])
def test_a_file_that_cannot_be_read_to_its_end_is_cut_off(any_service, name):
    any_service.put(name, bytes(600_000))

    answer = any_service.get(name)

    assert answer.status == 200
    assert not answer.complete
    any_service.server.wait_for_log(f"{name} (could not be read|has another length)")
    any_service.wait_until_closed()


def test_a_file_is_closed_when_the_client_leaves_half_way(service):
    service.put_large("large.bin", 64 * MIB)

    with RawClient(service.server.port) as client:
        client.send("GET", "/files/large.bin")
        client.socket.recv(1000)

    service.wait_until_closed()
    assert service.count("read") < 32 * MIB
    assert "ERROR" not in service.server.log_text()


def test_a_client_that_takes_nothing_is_given_up(service):
    service.put_large("large.bin", 64 * MIB)

    with RawClient(service.server.port) as client:
        client.send("GET", "/files/large.bin?stalled=0.3")
        client.socket.recv(1000)
        service.wait_until_closed()

    assert service.count("read") < 32 * MIB


def test_a_client_that_takes_little_at_a_time_gets_all(service):
    service.put_large("large.bin", 16 * MIB)

    with RawClient(service.server.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send("GET", "/files/large.bin?stalled=2")
        time.sleep(0.5)
        answer = client.receive()

    assert (len(answer.body), answer.complete) == (16 * MIB, True)


def test_nothing_is_read_before_it_is_taken(service):
    service.put_large("large.bin", 256 * MIB)
    service.get("a.bin")
    before = service.memory()
    clients = [RawClient(service.server.port) for _ in range(20)]

    for client in clients:
        client.send("GET", "/files/large.bin")
        client.socket.recv(1000)
    time.sleep(0.5)

    grown = service.memory() - before
    for client in clients:
        client.close()
    assert grown < 64 * MIB  # of 5 GiB: 20 clients have a batch each, and what the server holds
    assert service.count("read") < 20 * 16 * MIB


# --- a real browser -------------------------------------------------------------------


def red_pdf() -> bytes:
    drawing = b"1 0 0 rg 0 0 300 300 re f"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawing), drawing),
    ]
    file, at = b"%PDF-1.4\n", b""
    for number, text in enumerate(objects, 1):
        at += b"%010d 00000 n \n" % len(file)
        file += b"%d 0 obj%sendobj\n" % (number, text)
    table = b"xref\n0 5\n0000000000 65535 f \n" + at + b"trailer<</Size 5/Root 1 0 R>>\n"
    return file + table + b"startxref\n%d\n%%%%EOF" % len(file)


def red_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (100, 100), (255, 0, 0)).save(file, "PNG")
    return file.getvalue()


def red_pixels(screenshot: bytes) -> int:
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    colours = image.getcolors(1 << 24) or []
    return sum(n for n, (red, green, blue) in colours if red > 200 and green < 60 and blue < 60)


@pytest.mark.parametrize(("name", "data"), [("red.png", red_png()), ("red.pdf", red_pdf())])
def test_a_browser_shows_in_place_what_is_safe(service, chromium, name, data):
    service.put(name, data)

    def look(page) -> int:
        page.goto(f"{service.server.url}/files/{name}?inline=1")
        for _ in range(50):
            if red := red_pixels(page.screenshot()):
                return red
            page.wait_for_timeout(100)
        return 0

    assert chromium.run(look) >= 10_000


def test_a_browser_runs_nothing_of_a_file(service, chromium):
    service.put("page.html", b"<script>document.title = 'run'</script>")

    def look(page) -> str:
        with page.expect_download() as download, suppress(Exception):  # goto fails: no page
            page.goto(f"{service.server.url}/files/page.html?inline=1")
        return download.value.suggested_filename

    assert chromium.run(look) == "page.html"
