"""Who knows the token gets in, for a while; who guesses has to wait."""

import re
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.consoles import HTML, SAME, app_with, client_of
from roadworthy.console import Token, token
from roadworthy.console.sealing import key_from, seal, unseal
from roadworthy.console.tries import Tries

RIGHT = "correct horse battery staple"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr("roadworthy.console.token.time", stopped)
    return stopped


async def sign_in(client: httpx.AsyncClient, given: str, **headers: str) -> httpx.Response:
    return await client.post("/ops/sign-in", data={"token": given}, headers=HTML | SAME | headers)


async def test_the_form_lets_in_who_knows_the_token():
    async with client_of(app_with(Token(RIGHT))) as client:
        signed_in = await sign_in(client, RIGHT)
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/ops")
        assert "operator" in (await client.get("/ops", headers=HTML)).text


async def test_the_cookie_is_for_this_console_alone_and_for_no_script():
    access = Token(RIGHT, session=timedelta(hours=2))
    async with client_of(app_with(access, prefix="/inner/ops")) as client:
        answer = await client.post("/inner/ops/sign-in", data={"token": RIGHT}, headers=SAME)
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"httponly", "max-age=7200", "path=/inner/ops", "samesite=strict"}


async def test_under_https_the_cookie_is_secure():
    async with client_of(app_with(Token(RIGHT)), base_url="https://shop.test") as client:
        assert "; secure" in (await sign_in(client, RIGHT)).headers["set-cookie"].lower()


@pytest.mark.parametrize("wrong", ["", " ", "correct", RIGHT.upper(), RIGHT + "x", "\0", "é" * 999])
async def test_a_wrong_token_is_refused_by_the_form_and_as_bearer(wrong):
    async with client_of(app_with(Token(RIGHT))) as client:
        refused = await sign_in(client, wrong)
        assert refused.status_code == 401
        assert "set-cookie" not in refused.headers
        bearer = f"Bearer {wrong}".encode()
        assert (await client.get("/ops", headers={b"authorization": bearer})).status_code == 404


@pytest.mark.parametrize("written", ["Bearer {}", "bearer {}", "BEARER   {} "])
@pytest.mark.parametrize("secret", [RIGHT, "schlüssel-\N{KEY}", "a?b"])
async def test_a_script_sends_the_token_with_each_request(written, secret):
    header = written.format(secret).encode()
    async with client_of(app_with(Token(secret))) as client:
        assert (await client.get("/ops", headers={b"authorization": header})).status_code == 200
        assert (await client.get("/ops")).status_code == 404


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Token {}"])
async def test_other_schemes_are_not_taken(header):
    async with client_of(app_with(Token(RIGHT))) as client:
        sent = {"authorization": header.format(RIGHT)}
        assert (await client.get("/ops", headers=sent)).status_code == 404


async def test_a_token_read_from_a_file_may_end_with_a_line_break():
    async with client_of(app_with(Token(f"{RIGHT}\n"))) as client:
        assert (await sign_in(client, RIGHT)).status_code == 303


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_token_is_refused_where_it_is_written(empty):
    with pytest.raises(ValueError, match="anybody could send that"):
        Token(empty)


def test_a_session_has_a_length():
    with pytest.raises(ValueError, match="session is"):
        Token(RIGHT, session=timedelta(0))


async def test_without_a_token_there_is_no_form():
    async with client_of(app_with(Token())) as client:
        assert (await client.get("/ops", headers=HTML)).status_code == 404
        assert (await client.get("/ops/sign-in", headers=HTML)).status_code == 404
        assert (await sign_in(client, "None")).status_code == 404
        bearer = {"authorization": "Bearer None"}
        assert (await client.get("/ops", headers=bearer)).status_code == 404


def test_tokens_are_compared_as_digests_of_one_length(monkeypatch):
    compared = []
    monkeypatch.setattr(
        "roadworthy.console.token.hmac.compare_digest",
        lambda one, other: compared.append((len(one), len(other))) or False,
    )
    access = Token(RIGHT)
    for given_ in ("", "x", "x" * 5000):
        access.is_right(_request(), given_)
    assert compared == [(32, 32)] * 3


def _request(host: str = "10.0.0.1"):
    return token.Request({"type": "http", "headers": [], "client": (host, 1)})


async def test_after_some_wrong_tokens_a_client_waits_and_others_do_not(monkeypatch):
    clock = Clock()
    access = Token(RIGHT, tries=3)
    monkeypatch.setattr(access, "_tries", Tries(3, clock=clock))
    app = app_with(access)
    async with client_of(app) as guessing, client_of(app, client="10.0.0.2") as other:
        for _ in range(3):
            assert (await sign_in(guessing, "guess")).status_code == 401
        refused = await sign_in(guessing, RIGHT)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert "set-cookie" not in refused.headers
        bearer = {"authorization": f"Bearer {RIGHT}"}
        assert (await guessing.get("/ops", headers=bearer)).status_code == 404
        assert (await sign_in(other, RIGHT)).status_code == 303
        clock.now += 59.5
        assert (await sign_in(guessing, RIGHT)).headers["retry-after"] == "1"
        clock.now += 0.5
        assert (await sign_in(guessing, RIGHT)).status_code == 303


async def test_wrong_tokens_of_scripts_count_as_well():
    app = app_with(Token(RIGHT, tries=2))
    async with client_of(app) as client:
        for path in ("/ops", "/ops/static/console.css"):
            await client.get(path, headers={"authorization": "Bearer guess"})
        assert (await sign_in(client, RIGHT)).status_code == 429


async def test_who_has_a_session_goes_on_while_the_address_has_to_wait():
    app = app_with(Token(RIGHT, tries=1))
    async with client_of(app) as operator, client_of(app) as guessing:
        await sign_in(operator, RIGHT)
        await sign_in(guessing, "guess")
        assert (await operator.get("/ops", headers=HTML)).status_code == 200


def test_the_addresses_of_one_ipv6_network_count_together():
    access = Token(RIGHT, tries=2)
    for host in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9"):
        access.is_right(_request(host), "guess")
    assert access.wait(_request("2001:db8:0:1::77")) > 0
    assert access.wait(_request("2001:db8:0:2::1")) == 0
    assert access.wait(_request("fe80::1%eth0")) == 0
    assert access.wait(_request("a socket")) == 0


def test_the_clients_that_are_remembered_are_bounded(monkeypatch):
    monkeypatch.setattr("roadworthy.console.tries._MOST_CLIENTS", 3)
    tries = Tries(1, clock=Clock())
    for client in "abcd":
        tries.note_wrong(client)
    assert [bool(tries.wait(client)) for client in "abcd"] == [False, True, True, True]


async def test_a_session_ends(clock):
    app = app_with(Token(RIGHT, session=timedelta(hours=1)))
    async with client_of(app) as client:
        await sign_in(client, RIGHT)
        clock.now += 3599
        assert (await client.get("/ops/static/icon.svg")).status_code == 200
        clock.now += 1
        assert (await client.get("/ops/static/icon.svg")).status_code == 404
        expired = await client.get("/ops/checks", headers=HTML)
        assert (expired.status_code, expired.headers["location"]) == (303, "/ops/sign-in")
        assert (await client.post("/ops/sign-out", headers=HTML | SAME)).status_code == 404
        first = await client.get("/ops", headers=HTML)
        assert (first.status_code, first.headers["location"]) == (303, "/ops/sign-in")


async def test_a_session_survives_a_restart_and_is_known_to_all_workers():
    async with client_of(app_with(Token(RIGHT))) as first:
        await sign_in(first, RIGHT)
        async with client_of(app_with(Token(RIGHT))) as second:
            second.cookies = first.cookies
            assert (await second.get("/ops")).status_code == 200


@pytest.mark.parametrize("key", [None, "one key for all"])
async def test_another_token_ends_every_session(key):
    async with client_of(app_with(Token("old", key=key))) as client:
        await sign_in(client, "old")
        async with client_of(app_with(Token("new", key=key))) as later:
            later.cookies = client.cookies
            assert (await later.get("/ops")).status_code == 404


async def test_signing_out_ends_the_session_of_the_browser():
    async with client_of(app_with(Token(RIGHT))) as client:
        await sign_in(client, RIGHT)
        signed_out = await client.post("/ops/sign-out", headers=SAME | HTML)
        assert (signed_out.status_code, signed_out.headers["location"]) == (303, "/ops")
        assert (await client.get("/ops", headers=HTML)).status_code == 303


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_nobody_is_signed_in_by_another_site(site):
    async with client_of(app_with(Token(RIGHT))) as client:
        refused = await sign_in(client, RIGHT, **{"sec-fetch-site": site})
        assert (refused.status_code, refused.headers["x-error-code"]) == (403, "CROSS_SITE_REQUEST")
        assert "set-cookie" not in refused.headers


async def test_what_was_typed_into_the_form_is_not_shown_again():
    async with client_of(app_with(Token(RIGHT))) as client:
        assert "guessed" not in (await sign_in(client, "guessed")).text


async def test_the_form_is_bounded():
    async with client_of(app_with(Token(RIGHT))) as client:
        assert (await sign_in(client, "x" * 70_000)).status_code == 413
        many = "&".join("a=1" for _ in range(300))
        form = {"content-type": "application/x-www-form-urlencoded"}
        refused = await client.post("/ops/sign-in", content=many, headers=SAME | form)
        assert (refused.status_code, refused.headers["x-error-code"]) == (413, "FORM_TOO_LARGE")


KEY = key_from("secret", "tests")
CONTENTS = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=20), max_size=4)


@given(CONTENTS)
def test_what_was_sealed_is_read_back(content):
    assert unseal(KEY, seal(KEY, content)) == content


@given(CONTENTS, st.data())
def test_no_changed_character_of_a_sealed_text_is_believed(content, data):
    sealed = seal(KEY, content)
    place = data.draw(st.integers(0, len(sealed) - 1))
    put = data.draw(st.characters().filter(lambda char: char != sealed[place]))
    assert unseal(KEY, sealed[:place] + put + sealed[place + 1 :]) is None


@given(CONTENTS, st.text(min_size=1), st.booleans())
def test_nothing_added_to_a_sealed_text_is_believed(content, added, in_front):
    sealed = seal(KEY, content)
    assert unseal(KEY, added + sealed if in_front else sealed + added) is None


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_a_text_of_somebody_else_is_never_believed(text):
    assert unseal(KEY, text) is None


@given(CONTENTS)
def test_what_was_sealed_for_one_purpose_is_no_seal_for_another(content):
    assert unseal(key_from("secret", "links"), seal(KEY, content)) is None


@pytest.mark.parametrize("cookie", ["x" * 5000, ".", "..", "[" * 3000, quote("\N{SNOWMAN}.a")])
async def test_a_cookie_of_somebody_else_is_nobody(cookie):
    async with client_of(app_with(Token(RIGHT))) as client:
        headers = {"cookie": f"roadworthy_console={cookie}"}
        assert (await client.get("/ops", headers=headers)).status_code == 404


async def test_a_link_is_no_session_and_a_session_no_link():
    access = Token(RIGHT)
    code = re.sub(r".*link=", "", access.link("http://shop.test/ops"))
    async with client_of(app_with(access)) as client:
        headers = {"cookie": f"roadworthy_console={code}"}
        assert (await client.get("/ops", headers=headers)).status_code == 404
        found = await client.get("/ops", params={"link": access.session()})
        assert found.status_code == 404
        assert "set-cookie" not in found.headers
