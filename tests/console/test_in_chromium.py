"""A real browser is let in by the token, and no page of anybody else reaches the console."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import httpx
import pytest

from roadworthy.console import Token
from support.polling import until

TOKEN = "correct horse battery staple"
DEAD = "01900000-0000-7000-8000-000000000001"
RETRY = f"/ops/jobs/{DEAD}/retry"
AUTH = {"authorization": f"Bearer {TOKEN}", "accept": "text/html"}


@pytest.fixture
def shop_of(serve, sqlite_url) -> Callable[..., Any]:
    def start(*, args: tuple[str, ...] = (), **env: str) -> Any:
        env = {"TOKEN": TOKEN, "DATABASE": sqlite_url, **env}
        return serve(
            "console.guarded:create_app", args=["--factory", "--app-dir", "tests", *args], env=env
        )

    return start


@pytest.fixture
def elsewhere() -> Iterator[Callable[[str], int]]:
    """Serve one page, whose text is given, on a port of its own."""
    servers: list[ThreadingHTTPServer] = []

    def start(html: str) -> int:
        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(html.encode())

            def log_message(self, *_: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Page))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return cast("int", servers[-1].server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def sign_in(page, url: str, token: str = TOKEN) -> None:
    page.goto(f"{url}/ops")
    page.fill("#token", token)
    page.click("button")


def state_of_the_job(url: str) -> str:
    found = httpx.get(f"{url}/ops/jobs/{DEAD}", headers=AUTH)
    assert found.status_code == 200
    return "dead" if 'bad">dead' in found.text else "changed"


def test_the_token_lets_in_and_signing_out_ends_it(chromium, shop_of):
    url = shop_of().url

    def visit(page):
        sign_in(page, url, "guess")
        refused = page.inner_text("[role=alert]")
        page.fill("#token", TOKEN)
        page.click("button")
        inside = page.inner_text("h1")
        page.click("text=Sign out")
        return refused, inside, page.url

    assert visit_with(chromium, visit) == (
        "That is not the token.",
        "Now",
        f"{url}/ops/sign-in",
    )


def visit_with(chromium, visit: Callable[[Any], Any]) -> Any:
    """Return what a visit does; no page may break its own policy meanwhile."""

    def watched(page):
        refusals: list[str] = []
        page.on("console", lambda message: refusals.append(message.text))
        found = visit(page)
        assert [text for text in refusals if "Content Security Policy" in text] == []
        return found

    return chromium.run(watched)


def test_every_page_of_the_menu_opens_and_breaks_no_policy(chromium, shop_of):
    url = shop_of().url

    def visit(page):
        sign_in(page, url)
        links = page.eval_on_selector_all("nav a", "all => all.map(a => a.href)")
        titles = []
        for link in links:
            page.goto(link)
            page.keyboard.press("r")
            titles.append(page.inner_text("h1"))
        return titles

    titles = visit_with(chromium, visit)
    assert {"Now", "Jobs", "Problems", "Writes", "Checks"} <= set(titles)


def test_the_pages_work_without_scripts(chromium, shop_of):
    url = shop_of().url

    def visit(page):
        with page.context.browser.new_context(java_script_enabled=False) as context:
            plain = context.new_page()
            sign_in(plain, url)
            plain.click("nav >> text=Problems")
            plain.select_option("[name=status]", "4")
            plain.click("button >> text=Show")
            return plain.url, plain.inner_text("main")

    address, text = chromium.run(visit)
    assert "status=4" in address
    assert "OUT_OF_STOCK" in text


FORM = """<form method="post" action="{url}{path}"><input name="back" value=""></form>
<script>document.forms[0].submit()</script>"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["same site", "cross-site"])
def test_a_form_of_another_page_changes_nothing(chromium, shop_of, elsewhere, host):
    url = shop_of().url
    port = elsewhere(FORM.format(url=url, path=RETRY))

    def visit(page):
        sign_in(page, url)
        with page.expect_response(lambda answer: answer.url.endswith(RETRY)) as sent:
            page.goto(f"http://{host}:{port}/")
        page.goto(f"{url}/ops")
        return sent.value.status, page.inner_text("h1")

    status, title = chromium.run(visit)
    assert status in {403, 404}
    assert title == "Now"
    assert state_of_the_job(url) == "dead"


def test_a_button_of_the_console_changes_what_that_form_could_not(chromium, shop_of):
    url = shop_of().url

    def visit(page):
        sign_in(page, url)
        page.goto(f"{url}/ops/jobs/{DEAD}")
        page.click(f"form[action='{RETRY}'] button")
        return page.url

    assert visit_with(chromium, visit).startswith(f"{url}/ops/jobs")
    assert state_of_the_job(url) == "changed"


def test_the_console_is_shown_in_no_frame(chromium, shop_of, elsewhere):
    url = shop_of().url
    port = elsewhere(f'<iframe src="{url}/ops"></iframe>')

    def visit(page):
        sign_in(page, url)
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_load_state("networkidle")
        return [frame.content() for frame in page.frames[1:]]

    frames = chromium.run(visit)
    assert frames
    assert not any("roll out" in text for text in frames)


def test_an_origin_that_cors_allows_reads_no_page(chromium, shop_of, elsewhere):
    port = elsewhere("")
    url = shop_of(CORS=f"http://127.0.0.1:{port}").url

    def visit(page):
        sign_in(page, url)
        page.goto(f"http://127.0.0.1:{port}/")
        return page.evaluate(
            "url => fetch(url, {credentials: 'include'}).then(a => a.text())", f"{url}/ops/problems"
        )

    text = chromium.run(visit)
    assert "CROSS_SITE_REQUEST" in text
    assert "OUT_OF_STOCK" not in text


def test_who_may_only_look_sees_no_buttons_and_is_refused(chromium, shop_of):
    url = shop_of(ACTIONS="").url

    def visit(page):
        sign_in(page, url)
        buttons: list[str] = []
        for path in ("jobs", f"jobs/{DEAD}", "dead", "queues", "schedules", "workers"):
            page.goto(f"{url}/ops/{path}")
            posts = page.eval_on_selector_all(
                "form[method=post]", "all => all.map(form => form.getAttribute('action'))"
            )
            buttons += [action for action in posts if action != "/ops/sign-out"]
        tried = page.evaluate(
            "path => fetch(path, {method: 'POST', headers: {'Content-Type':"
            " 'application/x-www-form-urlencoded'}}).then(answer => answer.status)",
            RETRY,
        )
        return buttons, tried

    assert visit_with(chromium, visit) == ([], 403)
    assert state_of_the_job(url) == "dead"


def test_a_session_that_is_over_leads_back_to_the_form(chromium, shop_of, monkeypatch):
    url = shop_of().url
    monkeypatch.setattr("roadworthy.console.token.time", lambda: 1_700_000_000.0)
    over = Token(TOKEN, session=timedelta(hours=1)).session()

    def visit(page):
        cookie = {"name": "roadworthy_console", "value": over, "url": f"{url}/ops"}
        page.context.add_cookies([cookie])
        page.goto(f"{url}/ops/problems")
        return page.url

    assert chromium.run(visit) == f"{url}/ops/sign-in"


def test_over_plain_http_on_a_network_the_form_works_by_the_origin(chromium, shop_of):
    address = _address_of_this_machine()
    server = shop_of(args=("--host", "0.0.0.0"))
    url = f"http://{address}:{server.port}"

    def visit(page):
        sent: list[str | None] = []
        page.on("request", lambda request: sent.append(request.headers.get("sec-fetch-site")))
        sign_in(page, url)
        return page.inner_text("h1"), set(sent)

    title, told = chromium.run(visit)
    assert title == "Now"
    assert told <= {None}  # else this machine is trusted, and nothing is shown here


def _address_of_this_machine() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with suppress(OSError):
            probe.connect(("198.51.100.1", 9))  # of nobody (RFC 5737); nothing is sent
        address: str = probe.getsockname()[0]
    if address in {"0.0.0.0", "127.0.0.1"}:
        pytest.skip("needs a network: this machine has no other address than 127.0.0.1")
    return address


def test_the_live_part_refreshes_and_what_is_typed_into_a_filter_stays(chromium, shop_of):
    url = shop_of().url

    def visit(page):
        sign_in(page, url)
        page.goto(f"{url}/ops/problems?status=4")
        page.fill("[name=code]", "typing here")
        httpx.get(f"{url}/nowhere")
        problems = f"{url}/ops/problems"
        until(lambda: "NOT_FOUND" in httpx.get(problems, headers=AUTH).text)
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("r")
        page.wait_for_selector("#live >> text=NOT_FOUND")
        return page.input_value("[name=code]")

    assert chromium.run(visit) == "typing here"
