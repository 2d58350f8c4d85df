"""An application may say in its own words why a file is refused."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from roadworthy import problems
from roadworthy.lifespan import lifespan
from roadworthy.uploads import Disk, Files, MiB, Upload
from roadworthy.uploads.types import TEXT
from roadworthy.uploads.types.reasons import ADVICE

OWN = {"not_taken": "Nur Text.", "control_characters": "Ohne Farben, bitte.", "empty": "Leer."}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"<html>", "Nur Text."), (b"a\x1b[31m", "Ohne Farben, bitte."), (b"", "Leer.")],
)
def test_a_reason_is_told_in_the_words_of_the_application(tmp_path, content, message):
    app = FastAPI(lifespan=lifespan(Files(Disk(tmp_path))))
    texts = Upload(max_bytes=MiB, accept=(TEXT,), messages=OWN)

    @app.post("/")
    async def add(file: object = texts.file) -> None: ...

    problems.install(app)
    with TestClient(app) as client:
        answer = client.post("/", files={"file": ("a", content)})

    assert answer.json()["error"]["message"] == message


def test_a_message_says_what_to_do(kinds):
    assert ADVICE["control_characters"] in kinds.send("text", b"\x1b[31m").message
