"""nginx in front of two instances, and what an orchestrator does to its list of them."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

from _jobs.common import Failed, free_port, listens

from _health.client import ask
from support.debian import program

CONFIGURATION = """
{user}
worker_processes 1;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream app {{
        include instances;
        keepalive 32;
        keepalive_timeout 4s;  # before uvicorn's 5 s, so that nginx closes what is idle
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream {next};
        }}
    }}
}}
"""


class Nginx:
    """A master and one worker; `serve` replaces the list and reloads."""

    def __init__(self, folder: Path, ports: list[int], *, retries: bool) -> None:
        self._folder, self.port = folder, free_port()
        self._listed: list[int] = []
        self._write(ports)
        user = "user root;" if os.geteuid() == 0 else ""
        configuration = folder / "nginx.conf"
        again = "error timeout" if retries else "off"  # the former is nginx's default
        text = CONFIGURATION.format(user=user, port=self.port, next=again)
        configuration.write_text(text)
        binary = program("nginx", package="nginx-light")
        self._command = [binary, "-p", str(folder), "-c", str(configuration)]

    def __enter__(self) -> Self:
        # stdout is for its own messages before error_log is open.
        with (self._folder / "output.log").open("wb") as output:
            self._process = subprocess.Popen(
                [*self._command, "-g", "daemon off;"], stdout=output, stderr=output
            )
        if not listens(self.port, self._process, 10):
            raise Failed((self._folder / "output.log").read_text()[-200:])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)

    def serve(self, ports: list[int]) -> None:
        """List these instances from now on; an empty list is not written."""
        if ports and ports != self._listed:
            self._write(ports)
            self._process.send_signal(signal.SIGHUP)

    def _write(self, ports: list[int]) -> None:
        self._listed = list(ports)
        # max_fails and fail_timeout are nginx's defaults: its passive check of health.
        lines = [f"server 127.0.0.1:{port} max_fails=1 fail_timeout=10s;" for port in ports]
        (self._folder / "instances").write_text("\n".join(lines))


class Orchestrator:
    """Ask each instance every 200 ms, and list those that answer 2xx."""

    def __init__(self, nginx: Nginx, ports: list[int], path: str) -> None:
        self._nginx, self._ports, self._path = nginx, ports, path
        self._ready, self._held_out = set(ports), set[int]()

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def hold_out(self, port: int) -> None:
        """List this one no more, whatever it answers."""
        self._held_out.add(port)

    def let_in(self, port: int) -> None:
        self._held_out.discard(port)

    def wait_until_listed(self, port: int, *, seconds: float) -> None:
        end = time.monotonic() + seconds
        while port not in self._ready and time.monotonic() < end:
            time.sleep(0.05)

    def forget(self, port: int) -> None:
        """Know nothing of it: it is about to start."""
        self._ready.discard(port)

    def _look(self) -> None:
        while not self._over.wait(0.2):
            for port in self._ports:
                answer, _ = ask(port, self._path, deadline=1)
                (self._ready.add if answer.ok else self._ready.discard)(port)
            self._nginx.serve(sorted(self._ready - self._held_out))
