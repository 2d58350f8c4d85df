"""The real tus-js-client, run by the real Node.js."""

import fcntl
import json
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.debian import Unavailable

__all__ = ["install", "upload"]

VERSION = "4.3.1"

SCRIPT = """
const fs = require('fs')
const tus = require('tus-js-client')
const {path, ...options} = JSON.parse(process.argv[1])
const seen = {offsets: [], requests: []}
const tell = (what) => console.log(JSON.stringify({...seen, ...what}))
const upload = new tus.Upload(fs.createReadStream(path), {
  ...options,
  uploadSize: fs.statSync(path).size,
  onBeforeRequest: (request) => { seen.requests.push(request.getMethod()) },
  onAfterResponse: (request, response) => {
    if (request.getMethod() === 'HEAD') seen.offsets.push(+response.getHeader('Upload-Offset'))
  },
  onSuccess: () => tell({url: upload.url}),
  onError: (error) => tell({error: String(error)}),
})
upload.start()
"""


def install() -> Path:
    """Return a folder that has the client, from npm the first time.

    Raises:
        Unavailable: There is no npm, or it could not install the client.
    """
    folder = Path(tempfile.gettempdir()) / f"roadworthy-tus-js-client-{VERSION}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may come here at once
        if not _is_whole(folder):
            _install(folder)
    if not _is_whole(folder):
        raise Unavailable("npm could not install it")
    return folder


def upload(node: str, folder: Path, path: Path, **options: Any) -> dict[str, Any]:
    """Send a file, and return what the client saw: `url` or `error`, `requests`, `offsets`."""
    arguments = json.dumps({"path": str(path), **options})
    done = subprocess.run(
        [node, "-e", SCRIPT, arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
        check=True,
    )
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def _is_whole(folder: Path) -> bool:
    return (folder / "installed").exists()


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    folder.mkdir(exist_ok=True)
    command = [npm, "install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"]
    command += ["--no-save", f"tus-js-client@{VERSION}"]
    with suppress(subprocess.SubprocessError):  # judged by what is there afterwards
        subprocess.run(command, capture_output=True, timeout=120, check=True)
        (folder / "installed").touch()
