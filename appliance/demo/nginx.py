"""Debian's nginx as production or target, unprivileged, with its own configuration; logs every request.

``GET /SIZE`` answers with SIZE bytes (one of ``SIZES``). ``POST /store`` keeps the body in a file, so that
the bodies received by two servers can be compared. The header ``X-Request-Id`` has a request's id.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import random
import resource
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.lab import Lab
    from appliance.lab.topology import Role

USER = "www-data"  # Debian's account for web servers
SIZES = (64, 1024, 4096, 16384, 65536, 262144, 1 << 20)
MAX_BODY = 2 << 20
OPEN_FILES = 16384
KEEPALIVE_REQUESTS = 1000
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
GRACE_S = 1.0  # for pending answers; a connection whose client is gone would delay it for long
NO_ID = "-"

# Fields of the access log, in the order of Request.
_FIELDS = (
    "$http_x_request_id",
    "$remote_addr",
    "$remote_port",
    "$connection",
    "$connection_requests",
    "$status",
    "$request_method",
    "$uri",
    "$body_bytes_sent",
    "$request_time",
    "$request_body_file",
)

_CONFIGURATION = """\
daemon off;
worker_processes {processes};
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 8192; multi_accept on; }}
http {{
    log_format account '{fields}';
    access_log {directory}/access.log account buffer=64k flush=500ms;
    client_body_temp_path {directory}/bodies;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 75s;
    keepalive_requests {keepalive_requests};
    client_max_body_size {max_body};
    client_body_in_file_only on;
    open_file_cache max=64;
    server {{
        listen {port} backlog=4096 reuseport;
        listen [::]:{port} ipv6only=on backlog=4096 reuseport;
        root {directory}/www;
        location = /store {{
            # The body is read whole and kept before the answer is made.
            proxy_pass http://unix:{directory}/answer.sock;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }}
    }}
    server {{
        listen unix:{directory}/answer.sock;
        access_log off;
        return 200 "stored\\n";
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One line of a server's access log."""

    id: str
    client: str
    port: int
    connection: int
    number: int
    status: int
    method: str
    uri: str
    answer_bytes: int
    seconds: float
    body_file: str

    @property
    def answer(self) -> tuple[int, int]:
        """Status and length of the answer."""
        return self.status, self.answer_bytes

    def body_digest(self) -> str:
        """The hash of the stored body; empty if there was none."""
        if self.body_file == NO_ID:
            return ""
        with Path(self.body_file).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def make_workspace() -> Path:
    """Makes a temporary directory that unprivileged servers can reach; the caller removes it."""
    directory = Path(tempfile.mkdtemp(prefix="xdpcopy-"))
    directory.chmod(0o711)
    return directory


class Nginx:
    """An nginx in a namespace of the lab; a context manager that starts and stops it.

    ``directory`` is created, and holds all its files. Connections are spread over ``processes``, each limited
    by its number of open files.
    """

    def __init__(
        self,
        lab: Lab,
        role: Role,
        port: int,
        directory: Path,
        *,
        keepalive_requests: int = KEEPALIVE_REQUESTS,
    ) -> None:
        self.lab = lab
        self.role = role
        self.port = port
        self.directory = directory
        self.keepalive_requests = keepalive_requests
        self.processes = 1
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Nginx:  # noqa: PYI034 - never subclassed
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Writes the configuration and the answers, starts nginx, and waits until it listens."""
        account = pwd.getpwnam(USER)
        self._write_files()
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
        files = min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        limits = ("prlimit", f"--nofile={files}")
        who = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs")
        argv = (
            *limits,
            *who,
            "nginx",
            "-e",
            f"{self.directory}/error.log",
            "-c",
            f"{self.directory}/nginx.conf",
        )
        with (self.directory / "start.log").open("wb") as output:
            self.process = self.lab.exec(self.role, argv, stdout=output, stderr=output)
        self._wait_until_listening(self.process)

    def stop(self) -> None:
        """Stops it after pending answers, which completes its log; may be called again."""
        process, self.process = self.process, None
        if process is None:
            return
        patience = {signal.SIGQUIT: GRACE_S, signal.SIGTERM: STOP_TIMEOUT_S, signal.SIGKILL: STOP_TIMEOUT_S}
        for number, seconds in patience.items():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
                return

    def workers(self) -> list[int]:
        """The workers' process ids, for tests that freeze them."""
        if self.process is None:
            return []
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def requests(self) -> Iterator[Request]:
        """The access log: complete once the server has stopped, up to 0.5 s behind before."""
        with (self.directory / "access.log").open() as log:
            for line in log:
                if line.endswith("\n"):
                    yield _request(line)

    def _write_files(self) -> None:
        (self.directory / "www").mkdir(parents=True, exist_ok=True)
        for size in SIZES:
            (self.directory / "www" / str(size)).write_bytes(random.Random(size).randbytes(size))  # noqa: S311
        text = _CONFIGURATION.format(
            directory=self.directory,
            fields=r"\t".join(_FIELDS),
            port=self.port,
            processes=self.processes,
            max_body=MAX_BODY,
            keepalive_requests=self.keepalive_requests,
        )
        (self.directory / "nginx.conf").write_text(text)
        (self.directory / "access.log").touch()

    def _wait_until_listening(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.lab.run(self.role, ("ss", "-Htln", f"sport = :{self.port}")).stdout:
            if process.poll() is not None or time.monotonic() > deadline:
                logs = [self.directory / name for name in ("error.log", "start.log")]
                text = "".join(log.read_text() for log in logs if log.exists())
                self.stop()
                raise RuntimeError(f"nginx as {self.role} does not start: {text.strip()}")
            time.sleep(0.02)


def _request(line: str) -> Request:
    identity, client, port, connection, number, status, method, uri, sent, seconds, body = line.rstrip(
        "\n"
    ).split("\t")
    return Request(
        identity,
        client,
        int(port),
        int(connection),
        int(number),
        int(status),
        method,
        uri,
        int(sent),
        float(seconds),
        body,
    )
