"""An application may say in its own words why a file is refused, in the language of who asks."""

import logging
from typing import Annotated

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from roadworthy import problems
from roadworthy.lifespan import lifespan
from roadworthy.uploads import Disk, Files, Form, KiB, Stored, Upload, by_language
from roadworthy.uploads.resumable import Resumable
from roadworthy.uploads.types import TEXT
from roadworthy.uploads.types.inspecting.reasons import ADVICE

OWN = {
    "not_taken": "Nur Text.",
    "control_characters": "Ohne Farben, bitte.",
    "empty": "Leer.",
    "missing": "Welche Datei?",
    "content_transfer_encoding": "Nicht in Buchstaben.",
    "content_encoding": "Nicht gepackt.",
    "PAYLOAD_TOO_LARGE": "Höchstens 1 KiB.",
    "MALFORMED_BODY": "Das ist kein Formular.",
}
EMPTY = "The file is empty. Send one that has content."
LANGUAGES = by_language({"de": OWN, "pt-BR": {"empty": "Vazio."}, "fr": {"empty": "Vide."}})


@pytest.fixture
def client_of(tmp_path):
    clients = []

    def make(messages):
        app = FastAPI(lifespan=lifespan(Files(Disk(tmp_path))))
        texts = Upload(max_bytes=KiB, accept=(TEXT,), messages=messages)
        resumable = Resumable(texts, path="/tus")

        @app.post("/")
        async def add(file: Annotated[Stored, texts.file]) -> None: ...

        @app.post("/raw")
        async def add_raw(file: Annotated[Stored, texts.raw]) -> None: ...

        @app.post("/form")
        async def add_form(form: Annotated[Form, texts.form]) -> None: ...

        @resumable.router.patch("/{upload_id}")
        async def whole(file: Annotated[Stored, resumable.file]) -> None: ...

        app.include_router(resumable.router)
        problems.install(app)
        clients.append(TestClient(app).__enter__())
        return clients[-1]

    yield make
    for client in clients:
        client.__exit__(None, None, None)


def told(answer):
    return answer.json()["error"]["message"]


@pytest.mark.parametrize("messages", [OWN, lambda _, key: OWN.get(key), by_language({"de": OWN})])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "Nur Text."),
        (b"a\x1b[31m", "Ohne Farben, bitte."),
        (b"", "Leer."),
        (b"a" * 1025, "Höchstens 1 KiB."),
    ],
)
def test_a_reason_is_told_in_the_words_of_the_application(client_of, messages, content, message):
    client = client_of(messages)
    client.headers["Accept-Language"] = "de"

    for path in ("/", "/form"):
        assert told(client.post(path, files={"file": ("a", content)})) == message
    assert told(client.post("/raw", content=content or b"<html>")) == (
        message if content else "Nur Text."
    )
    as_problem = client.post(
        "/", files={"file": ("a", content)}, headers={"Accept": "application/problem+json"}
    )
    assert as_problem.json()["detail"] == message


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"files": {"other": ("", b"")}}, "Welche Datei?"),
        (
            {"files": {"file": ("a", b"x")}, "headers": {"Content-Encoding": "gzip"}},
            "Nicht gepackt.",
        ),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=a"}},
            "Das ist kein Formular.",
        ),
    ],
)
def test_whatever_else_is_refused_has_its_own_words_by_its_code(client_of, sent, message):
    assert told(client_of(OWN).post("/", **sent)) == message


def test_a_resumable_upload_is_refused_in_the_same_words(client_of):
    client = client_of(LANGUAGES)
    client.headers.update({"Tus-Resumable": "1.0.0", "Accept-Language": "de-AT"})
    typed = {"Content-Type": "application/offset+octet-stream"}
    for content, message in ((b"<html>", "Nur Text."), (b"a\x1b[31m", "Ohne Farben, bitte.")):
        created = client.post("/tus", headers={"Upload-Length": str(len(content))})
        where = created.url.join(created.headers["Location"])
        answer = client.patch(where, headers={**typed, "Upload-Offset": "0"}, content=content)
        assert told(answer) == message


@pytest.mark.parametrize(
    ("accepted", "message"),
    [
        ("de", "Leer."),
        ("de-AT", "Leer."),
        ("DE-at, en;q=0.5", "Leer."),
        ("fr, de;q=0.9", "Vide."),
        ("fr;q=0.5, de;q=0.9", "Leer."),
        ("it, pt-br;q=0.3", "Vazio."),
        ("fr;q=0, de", "Leer."),
        ("fr;q=x, de", "Leer."),
        ("pt", EMPTY),
        ("en", EMPTY),
        ("*", EMPTY),
        ("", EMPTY),
        (";;,,q=", EMPTY),
    ],
)
def test_the_language_is_the_one_that_the_client_prefers(client_of, accepted, message):
    answer = client_of(LANGUAGES).post(
        "/", files={"file": ("a", b"")}, headers={"Accept-Language": accepted}
    )

    assert told(answer) == message
    assert answer.json()["error"]["details"] == [{"reason": "empty"}]


def test_a_text_that_cannot_be_made_changes_nothing_else(client_of, caplog):
    def broken(request, key):
        raise RuntimeError("no translations")

    with caplog.at_level(logging.ERROR, logger="roadworthy.uploads"):
        answer = client_of(broken).post("/", files={"file": ("a", b"")})

    assert (answer.status_code, told(answer)) == (
        422,
        EMPTY,
    )
    assert "messages= of an upload failed" in caplog.text


def test_texts_without_languages_are_refused_where_they_are_written():
    with pytest.raises(TypeError, match=r'by_language\(\{"encrypted": \{'):
        by_language({"encrypted": "Ohne Kennwort."})


def test_a_message_says_what_to_do(kinds):
    assert ADVICE["control_characters"] in kinds.send("text", b"\x1b[31m").message
