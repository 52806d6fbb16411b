"""Real servers in the lab, each with a directory of its own, and what is compared of their state.

Authentication answers a challenge that differs on every connection, so its bytes are bound to the server
that made it. PostgreSQL trusts every client here, and MariaDB checks no password: a target of a replay has
to be set up in the same way.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from appliance.demo.nginx import make_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.lab import Lab
    from appliance.lab.topology import Role

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
PROGRAMS = str(Path(__file__).with_name("oracle_programs.py"))
MEMCACHED_COUNTS = {"cmd_get", "cmd_set", "get_hits", "get_misses", "incr_hits", "delete_hits", "curr_items"}
POSTGRES_SUMS = (
    "select count(*), sum(abalance) from pgbench_accounts",
    "select count(*), sum(tbalance) from pgbench_tellers",
    "select count(*), sum(bbalance) from pgbench_branches",
    "select count(*), sum(delta), sum(aid), sum(tid), sum(bid) from pgbench_history",
)
MARIADB_SUMS = (
    "select count(*), sum(amount), bit_xor(crc32(concat(worker, ':', number, ':', word))) from shop.orders"
)


class Server:
    """A server program in a namespace of the lab."""

    port = 0
    user = "nobody"

    def __init__(self, lab: Lab, role: Role, directory: Path) -> None:
        """``start`` makes the directory."""
        self.lab = lab
        self.role = role
        self.directory = directory
        self.address = str(lab.production if role == "production" else lab.target)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.directory / "log").read_text(errors="replace")

    def argv(self) -> Sequence[str]:
        """How it is called."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Write files into the directory before it starts."""

    def state(self) -> Any:
        """What has to be equal at production and target."""
        raise NotImplementedError

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.directory.mkdir(exist_ok=True)
        self.prepare()
        own(self.directory, self.user)
        with (self.directory / "log").open("wb") as output:
            self.process = self.lab.exec(
                self.role,
                (*as_user(self.user), *self.argv()),
                stdout=output,
                stderr=output,
                cwd=self.directory,
            )
        try:
            self._wait(self.process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it; harmless when called again."""
        process, self.process = self.process, None
        if process is not None:
            end(process)

    def ask(self, *argv: str) -> str:
        """Run a client in the server's own namespace: what it prints."""
        return self.lab.run(self.role, argv).stdout.strip()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.lab.run(self.role, ("ss", "-Htln", f"sport = :{self.port}")).stdout:
            assert process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)


class Redis(Server):
    port = 6379

    def argv(self) -> Sequence[str]:
        where = ("--bind", self.address, "--port", str(self.port), "--dir", str(self.directory))
        kept = ("--save", "", "--appendonly", "no", "--protected-mode", "no", "--enable-debug-command", "yes")
        return ("redis-server", *where, *kept)

    def state(self) -> Any:
        cli = ("redis-cli", "-h", self.address)
        return self.ask(*cli, "dbsize"), self.ask(*cli, "debug", "digest")


class Memcached(Server):
    port = 11211

    def argv(self) -> Sequence[str]:
        return ("memcached", "-l", self.address, "-p", str(self.port), "-U", "0", "-m", "128", "-t", "2")

    def state(self) -> Any:
        keys = " ".join(f"k{worker}-{key}" for worker in range(16) for key in range(64))
        lines = [line.split() for line in self._talk("stats").splitlines()]
        counted = {line[1]: line[2] for line in lines if len(line) == 3 and line[1] in MEMCACHED_COUNTS}
        return counted, self._talk(f"get counter {keys}")

    def _talk(self, text: str) -> str:
        return self.ask(sys.executable, PROGRAMS, "ask", self.address, str(self.port), f"{text}\r\nquit\r\n")


class Nginx(Server):
    """Static files, compressed (so chunked) ones, uploads; every request in the log."""

    port = 80
    http2 = ""
    user = "www-data"
    body_limit = "200m"

    def prepare(self) -> None:
        files = self.directory / "www"
        files.mkdir(exist_ok=True)
        for name, size in (("small", 64), ("page", 16384), ("large", 1 << 20)):
            (files / name).write_bytes(bytes(n * n % 251 for n in range(size)))
        with (files / "bulk").open("wb") as file:
            for number in range(100):
                file.write(number.to_bytes(8, "big") * (1 << 17))
        (self.directory / "nginx.conf").write_text(
            _NGINX.format(directory=self.directory, port=self.port, http2=self.http2, limit=self.body_limit)
        )

    def argv(self) -> Sequence[str]:
        return ("nginx", "-e", f"{self.directory}/error.log", "-c", f"{self.directory}/nginx.conf")

    def state(self) -> list[str]:
        """What was asked on each connection, sorted: one line for each request."""
        return sorted((self.directory / "access.log").read_text().splitlines())


class Http2(Nginx):
    """The same over HTTP/2 without TLS."""

    port = 81
    http2 = "http2"


class Postgres(Server):
    port = 5432
    user = "postgres"

    def prepare(self) -> None:
        subprocess.run(("cp", "-a", f"{_postgres_template()}/.", str(self.directory / "data")), check=True)

    def argv(self) -> Sequence[str]:
        return _postgres(self.directory / "data", self.directory, self.address)

    def state(self) -> Any:
        return [self.ask(*_psql(self.directory), text) for text in POSTGRES_SUMS]


class Mariadb(Server):
    port = 3306
    user = "mysql"

    def prepare(self) -> None:
        subprocess.run(("cp", "-a", f"{_mariadb_template()}/.", str(self.directory / "data")), check=True)

    def argv(self) -> Sequence[str]:
        return _mariadb(self.directory / "data", self.directory, f"--bind-address={self.address}")

    def state(self) -> Any:
        return self.ask(
            "mariadb", "--no-defaults", f"--socket={self.directory}/socket", "-BN", "-e", MARIADB_SUMS
        )


class Program(Server):
    """One of the servers in ``oracle_programs.py``; its state is what it writes when a connection ends."""

    port = 7000
    user = "root"
    mode: ClassVar[str]

    def argv(self) -> Sequence[str]:
        return (sys.executable, PROGRAMS, f"serve-{self.mode}", self.address, str(self.port))

    def state(self) -> list[str]:
        return sorted(self.log.splitlines())


class Batches(Program):
    """Production is slow to answer, the target is not."""

    mode = "batches"

    def argv(self) -> Sequence[str]:
        return (*super().argv(), "0.2" if self.role == "production" else "0")


class Smtp(Program):
    port = 25
    mode = "smtp"


class Websocket(Program):
    port = 8081
    mode = "websocket"


def as_user(user: str) -> tuple[str, ...]:
    """The start of a command that shall not run as root."""
    group = str(pwd.getpwnam(user).pw_gid)
    return ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs")


def own(directory: Path, user: str) -> None:
    """Give a directory with all that is in it to a user."""
    account = pwd.getpwnam(user)
    for path in (directory, *directory.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that this program started: ask first, then insist."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
            return


_NGINX = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 4096; multi_accept on; }}
http {{
    log_format each '$remote_addr:$remote_port $connection_requests $request_method $request_uri $status';
    access_log {directory}/access.log each;
    client_body_temp_path {directory}/bodies;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    default_type text/plain;
    sendfile on;
    keepalive_requests 100000;
    client_max_body_size {limit};
    client_body_buffer_size 1m;
    server {{
        listen {port} {http2} backlog=4096;
        root {directory}/www;
        gzip on;
        gzip_types text/plain;
        gzip_comp_level 1;
        location = /store {{
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


def _postgres(data: Path, socket: Path, address: str) -> tuple[str, ...]:
    settings = {
        "listen_addresses": address,
        "unix_socket_directories": str(socket),
        "fsync": "off",
        "ssl": "off",
        "shared_buffers": "32MB",
    }
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return (f"{_postgres_programs()}/postgres", "-D", str(data), *words)


def _psql(socket: Path) -> tuple[str, ...]:
    return ("psql", "-X", "-h", str(socket), "-U", "postgres", "-Atc")


def _mariadb(data: Path, directory: Path, *words: str) -> tuple[str, ...]:
    files = (f"--datadir={data}", f"--socket={directory}/socket", f"--pid-file={directory}/pid")
    small = ("--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve")
    return ("mariadbd", "--no-defaults", *files, *small, "--skip-grant-tables", *words)


@cache
def _postgres_programs() -> Path:
    return max(Path("/usr/lib/postgresql").glob("*/bin"))


@cache
def _postgres_template() -> Path:
    """A database cluster that both servers start from, with pgbench's tables in it."""
    directory = _workspace("postgres")
    programs, data = _postgres_programs(), directory / "data"
    _run("postgres", f"{programs}/initdb", "-D", str(data), "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
    with (data / "pg_hba.conf").open("a") as file:
        file.write("host all all 198.18.0.0/15 trust\n")
    argv = (*as_user("postgres"), *_postgres(data, directory, ""))
    with subprocess.Popen(
        argv, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            _run("postgres", f"{programs}/pg_isready", "-h", str(directory), patience_s=START_TIMEOUT_S)
            _run("postgres", f"{programs}/pgbench", "-iq", "-s", "4", "-h", str(directory), "postgres")
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(STOP_TIMEOUT_S)
    return data


@cache
def _mariadb_template() -> Path:
    """A data directory that both servers start from, with one empty table in it."""
    directory = _workspace("mysql")
    data = directory / "data"
    install = ("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db", "--user=mysql")
    _run("mysql", *install, "--auth-root-authentication-method=normal")
    columns = "id int auto_increment primary key, worker int, number int, amount int, word varchar(2000)"
    orders = f"create database shop;\ncreate table shop.orders ({columns});\n"
    _run("mysql", *_mariadb(data, directory, "--bootstrap"), text=orders)
    return data


def _workspace(user: str) -> Path:
    directory = make_workspace()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    own(directory, user)
    return directory


def _run(user: str, *argv: str, text: str = "", patience_s: float = 0.0) -> None:
    """Run a program to its end as a user, again for a while where it fails."""
    deadline = time.monotonic() + patience_s
    while True:
        done = subprocess.run(
            (*as_user(user), *argv),
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd="/",
        )
        if not done.returncode:
            return
        assert time.monotonic() < deadline, done.stderr or done.stdout
        time.sleep(0.05)
