"""A real browser: Debian's Chromium without a window, driven by Playwright."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from support.debian import program

__all__ = ["Chromium"]

T = TypeVar("T")

FLAGS = [
    "--headless",
    "--no-sandbox",  # root may not use it
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",  # containers have little of it
]


class Chromium:
    """A running Chromium: `run(work)`, `stop()`.

    title = chromium.run(lambda page: page.goto(server.url) and page.title())

    Raises:
        Unavailable: There is no Chromium, and it could not be installed.
    """

    def __init__(self) -> None:
        self._path = program("chromium", "chromium-browser", "google-chrome", package="chromium")
        # In a thread of its own: where Playwright runs, no other event loop may.
        self._thread = ThreadPoolExecutor(1)
        self._playwright, self._browser = self._thread.submit(self._start).result(60)

    def run(self, work: Callable[[Page], T], *, timeout: float = 60) -> T:
        """Return what `work` does with a new page that knows nothing of the others."""
        return self._thread.submit(self._with_page, work).result(timeout)

    def stop(self) -> None:
        """Close the browser."""
        self._thread.submit(self._browser.close).result(30)
        self._thread.submit(self._playwright.stop).result(30)
        self._thread.shutdown()

    def _start(self) -> tuple[Playwright, Browser]:
        playwright = sync_playwright().start()
        return playwright, playwright.chromium.launch(executable_path=self._path, args=FLAGS)

    def _with_page(self, work: Callable[[Page], T]) -> T:
        with self._browser.new_context() as context:
            return work(context.new_page())
