"""A real browser of another family: Debian's Firefox without a window, that visits a page."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.debian import program

__all__ = ["Firefox"]

PREFERENCES = {
    "app.normandy.enabled": "false",
    "app.update.enabled": "false",
    "browser.shell.checkDefaultBrowser": "false",
    "datareporting.policy.dataSubmissionEnabled": "false",
    "extensions.update.enabled": "false",
    "network.captive-portal-service.enabled": "false",
    "network.connectivity-service.enabled": "false",
    "network.proxy.type": "0",
    "services.settings.server": '"http://127.0.0.1:9"',
    "toolkit.telemetry.enabled": "false",
}


class Firefox:
    """A Firefox that is started for each page: `with firefox.visiting(url): ...`.

    Nothing drives it: what it has seen, the page itself has to tell its server.

    Raises:
        Unavailable: There is no Firefox, and it could not be installed.
    """

    def __init__(self) -> None:
        self._path = program("firefox-esr", "firefox", package="firefox-esr")

    @contextmanager
    def visiting(self, url: str, *, profile: Path) -> Iterator[None]:
        """Show a page, with a profile that knows nothing, until the block ends."""
        profile.mkdir(parents=True)
        lines = [f'user_pref("{name}", {value});' for name, value in PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines))
        command = [self._path, "--headless", "--no-remote", "--profile", str(profile), url]
        running = subprocess.Popen(
            command,
            env=os.environ | {"HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(running.pid, signal.SIGKILL)  # it has processes of its own
            running.wait(30)
