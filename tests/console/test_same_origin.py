"""Changes are taken from pages of this console, and from no page of anybody else."""

import pytest
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware

from console.consoles import HTML, ana, app_with, client_of
from roadworthy.console.same_origin import is_same_origin

OURS = {"host": "shop.test"}
REFUSED = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": ""},
    {"sec-fetch-site": "SAME-ORIGIN"},
    {"sec-fetch-site": "same-origin, cross-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://shop.test"},
    {"origin": "http://evil.test"},
    {"origin": "http://shop.test.evil.test"},
    {"origin": "http://evil.test/shop.test"},
    {"origin": "http://shop.test@evil.test"},
    {"origin": "http://shop.test:81"},
    {"origin": "file://shop.test"},
    {"origin": "shop.test"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://[::1"},
    {"origin": "http://"},
    {},
    {"referer": "http://shop.test/ops"},
    {"x-forwarded-host": "evil.test", "origin": "http://evil.test"},
]
TAKEN = [
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "same-origin", "origin": "null"},
    {"origin": "http://shop.test"},
    {"origin": "https://SHOP.test"},
]


@pytest.mark.parametrize("headers", REFUSED, ids=str)
async def test_a_change_from_elsewhere_is_refused(headers):
    async with client_of(app_with(ana)) as client:
        refused = await client.post("/ops/sign-out", headers=headers)
        told = await client.post("/ops/sign-out", headers=HTML | headers)
    assert (refused.status_code, refused.headers["x-error-code"]) == (403, "CROSS_SITE_REQUEST")
    assert (told.status_code, told.headers["x-error-code"]) == (403, "CROSS_SITE_REQUEST")
    assert "set-cookie" not in refused.headers


@pytest.mark.parametrize("headers", TAKEN, ids=str)
async def test_a_change_from_here_is_taken(headers):
    async with client_of(app_with(ana)) as client:
        assert (await client.post("/ops/sign-out", headers=headers)).status_code == 303


@pytest.mark.parametrize("host", ["shop.test:8000", "127.0.0.1:8000", "[::1]:8000", "[fe80::1]"])
async def test_the_origin_may_have_a_port_and_be_an_address(host):
    async with client_of(app_with(ana), base_url=f"http://{host}") as client:
        own = await client.post("/ops/sign-out", headers={"origin": f"http://{host}"})
        other = await client.post("/ops/sign-out", headers={"origin": f"http://{host}0"})
    assert (own.status_code, other.status_code) == (303, 403)


def test_where_neither_says_who_is_asked_nothing_is_taken():
    assert not is_same_origin(Headers({}))
    assert not is_same_origin(Headers({"host": "", "origin": "http://"}))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, 200),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "http://shop.test"}, 200),
    ],
    ids=str,
)
async def test_pages_are_not_read_by_scripts_of_other_origins(headers, status):
    async with client_of(app_with(ana)) as client:
        assert (await client.get("/ops", headers=headers)).status_code == status


async def test_cors_with_credentials_opens_nothing_to_the_origins_it_allows():
    app = app_with(ana)
    other = "http://localhost:3000"
    app.add_middleware(CORSMiddleware, allow_origins=[other], allow_credentials=True)
    async with client_of(app) as client:
        for sent in (
            {"origin": other},
            {"origin": other, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        ):
            read = await client.get("/ops", headers=sent)
            change = await client.post("/ops/sign-out", headers=sent)
            assert (read.status_code, change.status_code) == (403, 403)
            assert "Operations" not in read.text
