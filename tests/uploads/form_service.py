"""A page with a form, and the upload that it is sent to: what real browsers are shown."""

import os
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from roadworthy import problems
from roadworthy.lifespan import lifespan
from roadworthy.uploads import Disk, Files, Form, MiB, Upload
from roadworthy.uploads.types import PNG, TEXT

photos = Upload(max_bytes=1 * MiB, accept=(TEXT, PNG), max_files=10)

PAGE = """<!doctype html><meta charset=%s><title>Photos</title>
<form method=post enctype=multipart/form-data action=/photos accept-charset=%s>
<input name=title value="Gr&uuml;&szlig;e &euro;"><input type=hidden name=_charset_>
<textarea name=note>one
two</textarea>
<input type=file name=file id=file multiple><input type=file name=file id=second>
<input type=file name=avatar><button>Send</button></form>
"""

BY_ITSELF = """<script>
const put = (contents) => {
  const chosen = new DataTransfer()
  for (const [name, content, type] of contents) chosen.items.add(new File([content], name, {type}))
  document.getElementById('file').files = chosen.files
}
const send = async () => {
  const answer = await fetch('/photos', {method: 'POST', body: new FormData(document.forms[0])})
  return [answer.status, await answer.json()]
}
const go = async () => {
  const seen = []
  for (const contents of [NAMES, [], [['a.html', '<html>', 'text/html']], LARGE]) {
    put(contents)
    try { seen.push(await send()) } catch (error) { seen.push([0, String(error)]) }
  }
  await fetch('/seen', {method: 'POST', body: JSON.stringify(seen)})
}
const NAMES = %s.map((name) => [name, 'words', 'text/plain'])
const LARGE = [['large.txt', 'a'.repeat(40 << 20), 'text/plain']]
go()
</script>"""


def create_app() -> FastAPI:
    app = FastAPI(lifespan=lifespan(Files(Disk(os.environ["FILES"]))))
    seen: list[Any] = []

    @app.get("/", response_class=HTMLResponse)
    async def page(charset: str = "utf-8") -> str:
        return PAGE % (charset, charset)

    @app.get("/by-itself", response_class=HTMLResponse)
    async def page_that_sends(names: str) -> str:
        return PAGE % ("utf-8", "utf-8") + BY_ITSELF % names

    @app.post("/photos", status_code=201)
    async def add(form: Annotated[Form, photos.form]) -> Any:
        files = [[file.filename, file.media_type, file.size_bytes] for file in form.files]
        return {"files": files, "fields": form.fields}

    @app.post("/seen", status_code=201)
    async def tell(request: Request) -> None:
        seen.append(await request.json())

    @app.get("/seen")
    async def told() -> list[Any]:
        return seen

    problems.install(app)
    return app
