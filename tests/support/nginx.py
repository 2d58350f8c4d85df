"""A real nginx in front of a server, in a folder and on a port of its own."""

import signal
import socket
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

from support.debian import program

__all__ = ["Nginx", "proxy_to"]

CONFIGURATION = """
daemon off;
master_process off;  # one process, run by whoever runs the tests
pid nginx.pid;
error_log error.log info;
events {{ worker_connections 256; }}
http {{
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {http}
    server {{
        listen 127.0.0.1:{port};
        {server}
    }}
}}
"""


def proxy_to(port: int, *, buffering: bool = True) -> str:
    """Return what a `server` block says to pass everything to `port` on this machine.

    `buffering` is `proxy_request_buffering`: whether nginx takes the whole body first.
    """
    return f"""
        client_max_body_size 0;
        location / {{
            proxy_pass http://127.0.0.1:{port};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_request_buffering {"on" if buffering else "off"};
        }}
    """


class Nginx:
    """A running nginx: `port`, `url`, `log_text()`, `stop()`.

    `server` stands in its one `server` block, after `listen`; `http` before that block.
    `folder` holds its configuration, logs and temporary files.

    Raises:
        Unavailable: There is no nginx, and it could not be installed.
    """

    def __init__(self, server: str, *, folder: Path, http: str = "") -> None:
        binary = program("nginx", package="nginx-light")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        configuration = folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(http=http, port=self.port, server=server))
        with (folder / "output.log").open("wb") as output:
            self.process = subprocess.Popen(
                [binary, "-p", folder, "-c", configuration, "-e", folder / "error.log"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_ready()

    def log_text(self) -> str:
        """Return all that nginx has written so far."""
        logs = (self.folder / name for name in ("output.log", "error.log", "access.log"))
        return "".join(log.read_text(errors="replace") for log in logs if log.exists())

    def stop(self) -> None:
        """End it at once."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self.port), 1)):
                return
            time.sleep(0.02)
        self.stop()
        raise AssertionError(f"nginx should start and did not:\n{self.log_text()}")


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])
