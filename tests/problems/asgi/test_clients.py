"""Row U2, as real clients see it: they send 30 MiB, and are told why nobody wants them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fixtures import skipped_without
from support.nginx import Nginx, proxy_to
from support.server import Server, uvicorn_command
from support.uploaders import UPLOADERS, Seen, Upload, chromium_uploader

APP = Path(__file__).parent / "lingering_app.py"
SIZE = 30 * 1024 * 1024
BROWSER = "Chromium"

REFUSALS = {
    "/auth": (401, "NOT_SIGNED_IN"),
    "/limited": (413, "PAYLOAD_TOO_LARGE"),
    "/nowhere": (404, "NOT_FOUND"),
}
FRAMINGS = [
    *((name, framing) for name in UPLOADERS for framing in ("declared", "chunked")),
    (BROWSER, "declared"),  # it sends chunks over HTTP/2 only
]

# A machine that has none of the programs may have to install them first.
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.parametrize(("client", "framing"), FRAMINGS),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    server = Server(uvicorn_command(APP), log=tmp_path_factory.mktemp("clients") / "server.log")
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["buffering", "streaming"])
def nginx(request, server, tmp_path_factory) -> Iterator[Nginx]:
    """A real nginx that takes the whole body first, and one that passes it on as it comes."""
    proxied = proxy_to(server.port, buffering=request.param == "buffering")
    with skipped_without("nginx"):
        nginx = Nginx(proxied, folder=tmp_path_factory.mktemp("nginx"))
    yield nginx
    nginx.stop()


@pytest.fixture
def upload(request, client, framing):
    """Upload from the client of this test: upload(url)."""
    if client == BROWSER:
        uploader = chromium_uploader(request.getfixturevalue("chromium"))
    else:
        uploader = UPLOADERS[client]
    for program in ("curl", "node"):
        if client.startswith(program):
            request.getfixturevalue(program)
    return lambda url: uploader(Upload(url, SIZE, chunked=framing == "chunked"))


@pytest.mark.sampled
@pytest.mark.parametrize("target", REFUSALS)
def test_a_client_sees_the_refusal(upload, server, target):
    assert_refused(upload(server.url + target), target)


@pytest.mark.sampled
@pytest.mark.parametrize("target", ["/auth", "/limited"])
def test_a_client_behind_nginx_sees_the_refusal(upload, nginx, target):
    assert_refused(upload(nginx.url + target), target)


def assert_refused(seen: Seen, target: str) -> None:
    status, code = REFUSALS[target]
    assert (seen.status, seen.error) == (status, "")
    assert seen.json()["error"]["code"] == code
