"""Take the pictures of the console from a running demo, so that they stay true.

    .venv/bin/python docs/pictures/console.py

It starts `depot demo` on a free port in a folder of its own, lets a few requests go wrong, opens
the link that is printed, and writes one PNG a page into this folder. It needs Chromium.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
PAGES = (
    *("", "jobs", "dead", "schedules", "queues", "workers"),
    *("problems", "uploads", "checks", "writes"),
)
"""Paths below `/ops`; a picture is called after its page."""
SIZE = {"width": 1200, "height": 760}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
JSON = {"Content-Type": "application/merge-patch+json"}


def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as folder, _demo(folder) as link:
        _go_wrong(link.partition("/ops")[0])
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
            page = browser.new_page(viewport=SIZE, color_scheme="light")
            page.goto(link)
            for name in PAGES:
                _take(page, link, name)
            _take_job(page, link)
            browser.close()


@contextmanager
def _demo(folder: str) -> Iterator[str]:
    """Run the demo, and lend the link to its console."""
    command = [sys.executable, "-m", "depot", "demo", "--port", "0"]
    with subprocess.Popen(  # noqa: S603 - a command of ours
        command,
        env={"DEPOT_DATA_DIR": folder},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield next(
                found[0]
                for line in process.stdout or ()
                if (found := re.search(r"http://\S+/ops\?\S+", line))
            )
        finally:
            process.terminate()


def _go_wrong(url: str) -> None:
    """Send what the service refuses, and an order that is made twice."""
    with httpx.Client(base_url=url) as client:
        item = client.get("/inventory/item-001")
        client.patch("/inventory/item-001", json={"price": "25.90"}, headers=JSON)
        stale = {**JSON, "If-Match": item.headers["ETag"]}
        client.patch("/inventory/item-001", json={"price": "19.90"}, headers=stale)
        client.patch("/inventory/item-002", json={"quantitiy": 5}, headers=JSON)
        client.post("/documents", files={"file": ("cat.png", b"MZ", "image/png")})
        order = {
            "customer_email": "ann@example.com",
            "lines": [{"item_id": "item-003", "quantity": 1}],
        }
        for _ in range(3):
            client.post("/orders", json=order, headers={"Idempotency-Key": "picture"})
    time.sleep(8)  # the demo's invoices are made meanwhile


def _take(page: Page, link: str, name: str) -> None:
    page.goto(link.partition("?")[0] + (f"/{name}" if name else ""))
    page.screenshot(path=HERE / f"console-{name or 'now'}.png")


def _take_job(page: Page, link: str) -> None:
    """Take the job that died, whose id nobody knows before."""
    page.goto(link.partition("?")[0] + "/jobs?state=dead")
    page.locator("table a").first.click()
    page.screenshot(path=HERE / "console-job.png", full_page=True)


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("There is no Chromium. On Debian: apt install chromium")
    return found


if __name__ == "__main__":
    main()
