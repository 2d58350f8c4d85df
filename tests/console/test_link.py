"""A link opens the console once, within five minutes, in whichever process comes first."""

import subprocess
import sys
from datetime import timedelta

import pytest

from console.consoles import HTML, app_with, client_of
from roadworthy.console import Token
from roadworthy.console.used_once import UsedOnce

URL = "http://127.0.0.1:8000/ops"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def code_of(access: Token, **options) -> str:
    return access.link(URL, **options).removeprefix(f"{URL}?link=")


async def test_a_link_opens_the_console_once():
    access = Token()
    code = code_of(access)
    app = app_with(access)
    async with client_of(app) as first, client_of(app) as second:
        opened = await first.get("/ops", params={"link": code}, headers=HTML)
        assert (opened.status_code, opened.headers["location"]) == (303, "/ops")
        assert (await first.get("/ops", headers=HTML)).status_code == 200
        used = await second.get("/ops", params={"link": code}, headers=HTML)
        assert used.status_code == 404
        assert "set-cookie" not in used.headers
        assert (await second.get("/ops", headers=HTML)).status_code == 404


async def test_a_link_is_good_for_five_minutes(monkeypatch):
    now = [1_800_000_000.0]
    monkeypatch.setattr("roadworthy.console.token.time", lambda: now[0])
    access = Token("also a token")
    codes = [code_of(access), code_of(access), code_of(access, valid=timedelta(seconds=5))]
    answers = []
    async with client_of(app_with(access)) as client:
        for code, later in zip(codes, (299.0, 301.0, 6.0), strict=True):
            now[0] = 1_800_000_000.0 + later
            client.cookies.clear()
            answers.append(await client.get("/ops", params={"link": code}, headers=HTML))
    assert [answer.status_code for answer in answers] == [303, 404, 404]
    assert "Take the one that was printed last" in answers[1].text


@pytest.mark.parametrize("forged", ["", "x", "x.y", "e30.e30", "null", "\0", "é"])
async def test_a_forged_link_is_nothing(forged):
    async with client_of(app_with(Token())) as client:
        found = await client.get("/ops", params={"link": forged})
    assert (found.status_code, found.headers["x-error-code"]) == (404, "NOT_FOUND")


async def test_a_link_of_another_start_is_nothing():
    code = code_of(Token())
    async with client_of(app_with(Token())) as client:
        assert (await client.get("/ops", params={"link": code})).status_code == 404


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
async def test_only_a_get_uses_a_link_up(method):
    access = Token()
    code = code_of(access)
    async with client_of(app_with(access)) as client:
        assert (await client.request(method, "/ops", params={"link": code})).status_code == 404
        assert (await client.get("/ops", params={"link": code})).status_code == 303


async def test_a_link_opens_the_first_page_and_no_other():
    access = Token()
    code = code_of(access)
    async with client_of(app_with(access)) as client:
        for path in ("/ops/static/icon.svg", "/ops/sign-out", "/ops/nothing"):
            assert (await client.get(path, params={"link": code})).status_code == 404
        assert (await client.get("/ops/", params={"link": code})).status_code == 303


RACE = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from roadworthy.console import Token
access = Token(key="one key for all")
print("ready", flush=True)
sys.stdin.readline()
print(sum(access.use_link(code) for code in sys.argv[2:]))
"""


def test_of_processes_that_race_for_a_link_one_wins(tmp_path):
    access = Token(key="one key for all")
    codes = [code_of(access) for _ in range(200)]
    command = [sys.executable, "-c", RACE, str(tmp_path), *codes]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sum(won) == 200


def test_what_was_used_is_forgotten_once_it_means_nothing(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("roadworthy.console.used_once.time", lambda: now[0])
    used = UsedOnce()
    assert used.first("a", until=1010.0)
    assert not used.first("a", until=1010.0)
    now[0] = 1012.0
    assert used.first("b", until=1020.0)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["1-x", "x", "\N{SUPERSCRIPT TWO}-x", ""])
def test_strange_files_and_those_of_others_break_no_link(tmp_path, name):
    # A folder cannot be unlinked either, as a file of somebody else in /tmp cannot.
    (tmp_path / f"roadworthy-used-{name}").mkdir()
    assert UsedOnce().first("a", until=4e9)


def test_without_the_folder_nobody_gets_in(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert not UsedOnce().first("a", until=4e9)
