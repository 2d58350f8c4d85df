"""A console works wherever it is put, and leads nowhere else."""

import re
from urllib.parse import quote

import pytest
from fastapi import FastAPI

from console.consoles import HTML, SAME, ana, app_with, client_of
from roadworthy import problems
from roadworthy.console import Token, Viewer, console
from roadworthy.console.flash import Flash
from roadworthy.console.places import base_of


def links_in(text: str) -> set[str]:
    found = set(re.findall(r'(?:href|src|action|hx-get)="([^"]*)"', text))
    return {link for link in found if not link.startswith("#")}


async def assert_all_is_below(app: FastAPI, base: str, *, asked: str = "", **client) -> None:
    async with client_of(app, **client) as browser:
        page = await browser.get(asked or base, headers=HTML)
        assert page.status_code == 200
        links = links_in(page.text)
        assert links
        assert [link for link in links if link != base and not link.startswith(f"{base}/")] == []
        slash = await browser.get(f"{asked or base}/", headers=HTML)
        assert slash.headers["location"] == base


@pytest.mark.parametrize("prefix", ["/ops", "/a/b/c", "/~ops.v1"])
async def test_below_any_prefix(prefix):
    await assert_all_is_below(app_with(ana, prefix=prefix), prefix)


async def test_below_a_prefix_with_a_parameter():
    app = app_with(ana, prefix="/{tenant}/ops")
    await assert_all_is_below(app, "/t%20one/ops")


@pytest.mark.parametrize("name", [None, "inner"])
async def test_in_a_mounted_application(name):
    outer = FastAPI()
    problems.install(outer)
    outer.mount("/sub", app_with(ana), name=name)
    await assert_all_is_below(outer, "/sub/ops")


@pytest.mark.parametrize("asked", ["/ops", "/api/v1/ops"], ids=["stripped", "passed on"])
async def test_behind_a_proxy_with_a_root_path(asked):
    await assert_all_is_below(app_with(ana), "/api/v1/ops", asked=asked, root_path="/api/v1")


async def test_the_link_works_behind_a_root_path():
    access = Token()
    code = access.link("").removeprefix("?link=")
    async with client_of(app_with(access), root_path="/api") as client:
        opened = await client.get("/ops", params={"link": code}, headers=HTML)
    assert (opened.status_code, opened.headers["location"]) == (303, "/api/ops")
    assert "path=/api/ops" in opened.headers["set-cookie"].lower()


@pytest.mark.parametrize("host", ["evil.test/x", "evil.test?", "evil.test#", "a/ops", "@evil.test"])
async def test_the_host_that_a_client_writes_changes_no_link(host):
    async with client_of(app_with(ana)) as client:
        page = await client.get("/ops", headers=HTML | {"host": host})
    if page.status_code == 200:
        assert {link for link in links_in(page.text) if not link.startswith("/ops")} == set()


async def test_two_consoles_of_one_application_know_nothing_of_each_other():
    app = app_with(Token("one"), prefix="/one")
    app.include_router(console(access=Token("two"), title="Second"), prefix="/two")
    async with client_of(app) as client:
        await client.post("/one/sign-in", data={"token": "one"}, headers=SAME)
        assert (await client.get("/one", headers=HTML)).status_code == 200
        assert (await client.get("/two", headers=HTML)).headers["location"] == "/two/sign-in"
        await client.post("/two/sign-in", data={"token": "two"}, headers=SAME)
        assert "Second" in (await client.get("/two", headers=HTML)).text
        assert "Second" not in (await client.get("/one", headers=HTML)).text


async def test_one_router_may_be_included_twice():
    app = FastAPI()
    problems.install(app)
    routes = console(access=ana)
    for prefix in ("/one", "/two"):
        app.include_router(routes, prefix=prefix)
    await assert_all_is_below(app, "/one")
    await assert_all_is_below(app, "/two")


@pytest.mark.parametrize(
    ("path", "template", "base"),
    [
        ("/ops", "", "/ops"),
        ("/ops/", "/", "/ops"),
        ("/ops/jobs/7", "/jobs/{id}", "/ops"),
        ("//evil.test/ops", "", "/evil.test/ops"),
        ("/a b/ops/jobs", "/jobs", "/a%20b/ops"),
        ('/"><x>/ops', "", "/%22%3E%3Cx%3E/ops"),
        ("/a;b/ops", "", "/a%3Bb/ops"),
    ],
)
def test_the_base_is_a_path_of_this_host(path, template, base):
    assert base_of({"path": path, "root_path": ""}, template) == base


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.test",
        "//evil.test",
        "a=1#//evil.test",
        "\r\nSet-Cookie: a=b",
        "a=\r\nX: y",
        "?x",
        "%0d%0aX:y",
        "a=" + "x" * 9000,
        "\ud83d",
    ],
)
async def test_what_an_action_leads_back_to_is_a_page_of_the_console(back, monkeypatch):
    from starlette.requests import Request

    from roadworthy.console.visit import Visit

    request = Request({"type": "http", "headers": []})
    visit = Visit(request, Viewer("ana"), None, "/ops", None)  # type: ignore[arg-type]
    answer = visit.after("/jobs", flash=Flash("done"), back=back)
    location = answer.headers["location"]
    assert location == "/ops/jobs" or location.startswith("/ops/jobs?")
    assert len(location) < 6000
    assert set(answer.headers) == {"location", "content-length", "set-cookie"}


FLASHES = [
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "x" * 5000),
    "\r\nSet-Cookie: a=b",
]


@pytest.mark.parametrize("text", FLASHES)
async def test_a_flash_of_somebody_else_is_text_and_no_more(text):
    cookie = quote(f'{{"text": "{quote(text)}", "good": true}}')
    for value in (cookie, quote('{"text": ["' + text + '"]}'), quote(text), "[" * 3000, "%7B%7D"):
        async with client_of(app_with(ana)) as client:
            page = await client.get(
                "/ops", headers=HTML | {"cookie": f"roadworthy_console_done={value}"}
            )
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
        assert "49" not in re.findall(r'role="status">(.*?)<', page.text)


async def test_a_flash_is_told_once():
    async with client_of(app_with(ana)) as client:
        cookie = "roadworthy_console_done=" + quote(
            '{"text": "3 jobs were retried.", "good": true}'
        )
        page = await client.get("/ops", headers=HTML | {"cookie": cookie})
    assert "3 jobs were retried." in page.text
    assert "max-age=0" in page.headers["set-cookie"].lower()
