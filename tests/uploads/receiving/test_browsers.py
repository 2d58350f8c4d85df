"""Forms of real browsers and of Node: files are taken, and every answer is seen by who sends."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from support.chromium import Chromium
from support.server import Server, uvicorn_command
from uploads.conftest import TESTS

# A machine that has none of the programs may have to install them first.
pytestmark = pytest.mark.timeout(600)

NAMES = {
    'a "quoted" name.txt': "a _quoted_ name.txt",
    "Grüße ☃ 日本.txt": "Grüße ☃ 日本.txt",
    "two\nlines.txt": "two lines.txt",
    "100 % %22.txt": None,
    "semi;colon, and 'more'.txt": "semi;colon, and 'more'.txt",
    "back\\slash.txt": None,
}
"""What files are called, and what they are shown as: None where a browser cannot tell."""
SHOWN = [shown for shown in NAMES.values() if shown]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("form")
    environment = {"PYTHONPATH": str(TESTS), "FILES": str(path / "files")}
    command = uvicorn_command("uploads.form_service:create_app", factory=True)
    server = Server(command, log=path / "log", env=environment)
    yield server
    server.stop()


@pytest.fixture
def submit(chromium: Chromium, server: Server, tmp_path: Path) -> Callable[..., Any]:
    """Choose files in the form as a user does, press its button, and return what is shown."""

    def sent(files: dict[str, bytes], *, charset: str = "utf-8") -> tuple[int, Any]:
        paths = [tmp_path / name for name in files]
        for path in paths:
            path.write_bytes(files[path.name])

        def work(page: Any) -> tuple[int, Any]:
            page.goto(f"{server.url}/?charset={charset}")
            page.locator("#file").set_input_files(paths)
            with page.expect_navigation(timeout=60_000) as shown:
                page.locator("button").click(no_wait_after=True)
            return shown.value.status, json.loads(page.locator("body").inner_text())

        return chromium.run(work, timeout=120)

    return sent


def test_chromium_sends_several_files_and_inputs_that_were_left_empty(submit):
    status, told = submit(dict.fromkeys(NAMES, b"words"))

    assert status == 201, told
    assert [one[1:] for one in told["files"]] == [["text/plain", 5]] * len(NAMES)
    assert {one[0] for one in told["files"]} >= set(SHOWN)
    assert told["fields"] == {
        "title": ["Grüße €"],
        "_charset_": ["UTF-8"],
        "note": ["one\r\ntwo"],
    }


@pytest.mark.parametrize("charset", ["windows-1252", "iso-8859-1", "utf-8"])
def test_chromium_sends_a_form_in_the_encoding_of_its_page(submit, charset):
    status, told = submit({"plain.txt": b"words"}, charset=charset)

    assert (status, told["fields"]["title"]) == (201, ["Grüße €"])


def test_chromium_sends_a_form_without_files(submit):
    assert submit({})[1]["files"] == []


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("large.txt", b"a" * (40 << 20), 413, "PAYLOAD_TOO_LARGE"),
        ("page.txt", b"<html>", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("page.txt", b"<html>" + b"a" * (900 << 10), 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("colours.txt", b"\x1b[31mred", 422, "FILE_REJECTED"),
    ],
)
def test_chromium_shows_why_a_file_is_refused(submit, name, content, status, code):
    shown, told = submit({name: content})

    assert (shown, told["error"]["code"]) == (status, code)


@pytest.mark.soak  # it may have to be downloaded
def test_firefox_sends_the_same_and_sees_every_answer(firefox, server, tmp_path):
    url = f"{server.url}/by-itself?names={quote(json.dumps(list(NAMES)))}"
    with firefox.visiting(url, profile=tmp_path / "profile"):
        deadline = time.monotonic() + 120
        while not (seen := httpx.get(f"{server.url}/seen", trust_env=False).json()):
            assert time.monotonic() < deadline, "Firefox has not told what it saw"
            time.sleep(0.2)  # nobody tells when a page of a browser has come to its end
    named, none, page, large = seen[0]

    assert named[0] == 201, named
    assert {one[0] for one in named[1]["files"]} >= set(SHOWN)
    assert named[1]["fields"]["title"] == ["Grüße €"]
    assert (none[0], none[1]["files"]) == (201, [])
    assert (page[0], page[1]["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (large[0], large[1]["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


NODE = """
const [url, names] = [process.argv[1], JSON.parse(process.argv[2])]
const send = async (files) => {
  const form = new FormData()
  form.append('title', 'Gr\\u00fc\\u00dfe \\u20ac')
  for (const [name, content] of files) {
    form.append('file', new Blob([content], {type: 'text/plain'}), name)
  }
  const answer = await fetch(url, {method: 'POST', body: form})
  return [answer.status, await answer.json()]
}
const all = [
  names.map((name) => [name, 'words']),
  [['', '']],
  [['a.html', '<html>']],
  [['large.txt', 'a'.repeat(40 << 20)]],
]
const seen = []
for (const files of all) seen.push(await send(files))
console.log(JSON.stringify(seen))
"""


def test_node_sends_the_same_and_sees_every_answer(node, server):
    command = [node, "--input-type=module", "-e", NODE, f"{server.url}/photos"]
    done = subprocess.run(
        [*command, json.dumps(list(NAMES))], stdout=subprocess.PIPE, timeout=120, check=True
    )
    named, none, page, large = json.loads(done.stdout)

    assert named[0] == 201, named
    assert {one[0] for one in named[1]["files"]} >= set(SHOWN)
    assert named[1]["fields"] == {"title": ["Grüße €"]}
    assert none[0] == 201, none
    assert (page[0], page[1]["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (large[0], large[1]["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
