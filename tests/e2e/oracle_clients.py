"""Real clients of the lab's servers, each run to its end against production."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.e2e.oracle_servers import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.lab import Lab
    from tests.e2e.oracle_servers import Server

TIMEOUT_S = 120.0
REDIS_TESTS = "set,get,incr,lpush,sadd,hset,mset"
SHORT_CONNECTIONS = 10_000
ORDERS = 250
ORDER_WORKERS = 8


def run(lab: Lab, *argv: str) -> str:
    """Run a program as a client; what it prints."""
    return lab.run("client", argv, timeout=TIMEOUT_S).stdout


def _program(lab: Lab, server: Server, mode: str, *more: str) -> None:
    run(lab, sys.executable, PROGRAMS, mode, server.address, str(server.port), *more)


def redis(lab: Lab, server: Server) -> None:
    """Commands whose order among connections does not matter."""
    words = ("-P", "16", "-c", "50", "-n", "20000", "-r", "100000", "-q", "-d", "64", "-t", REDIS_TESTS)
    run(lab, "redis-benchmark", "-h", server.address, *words)


def memcached(lab: Lab, server: Server, longest: int = 4000) -> None:
    """Pipelined sets of values up to ``longest`` bytes, and others."""
    _program(lab, server, "memcached", str(longest))


def postgres(lab: Lab, server: Server, protocol: str = "simple") -> None:
    """Transactions of pgbench's own kind."""
    words = ("-h", server.address, "-U", "postgres", "-n", "-c", "8", "-t", "150", "-M", protocol)
    run(lab, "pgbench", *words, "postgres")


def mariadb(lab: Lab, server: Server) -> None:
    """Several scripts at once, read by the command-line client."""
    with ThreadPoolExecutor(ORDER_WORKERS) as pool:
        list(pool.map(lambda worker: _orders(lab, server, worker), range(ORDER_WORKERS)))


def _orders(lab: Lab, server: Server, worker: int) -> None:
    insert = "insert into orders (worker, number, amount, word) values ({}, {}, {}, repeat('{}', {}));"
    lines = [insert.format(worker, n, n * 7 % 100, chr(97 + n % 26), n * 8) for n in range(ORDERS)]
    lines[100:100] = [
        "select * from orders limit 50;",
        "begin;",
        "update orders set amount = 0;",
        "rollback;",
    ]
    script = server.directory / f"orders-{worker}"
    script.write_text("\n".join(lines))
    where = ("--no-defaults", "-h", server.address, "-u", "root", "--skip-ssl", "shop")
    run(lab, "mariadb", *where, "-e", f"source {script}")


def http(lab: Lab, server: Server) -> None:
    """One kept connection with chunked bodies in both directions, and one with pipelined requests."""
    body = server.directory / "body"
    body.write_bytes(bytes(range(256)) * 1000)
    run(lab, "curl", *_curl(f"http://{server.address}", str(body)))
    _program(lab, server, "pipeline", "200")


def _curl(site: str, body: str) -> Sequence[str]:
    post = ("--data-binary", f"@{body}", f"{site}/store")
    kinds = (
        (f"{site}/page",),
        ("--compressed", f"{site}/large"),
        post,
        ("-H", "Transfer-Encoding: chunked", *post),
    )
    words: list[str] = []
    for number in range(60):
        words += (*(("--next",) if number else ()), "-sf", "-o", "/dev/null", *kinds[number % len(kinds)])
    return words


def http2(lab: Lab, server: Server) -> None:
    """Many streams at once on each of some connections."""
    urls = [f"http://{server.address}:{server.port}/{name}" for name in ("small", "page", "large", "page")]
    run(lab, "h2load", "-n", "400", "-c", "4", "-m", "16", *urls)


def smtp(lab: Lab, server: Server) -> None:
    """Mails; the server speaks first."""
    _program(lab, server, "smtp")


def websocket(lab: Lab, server: Server) -> None:
    """Both sides talk at once."""
    _program(lab, server, "websocket")


def batches(lab: Lab, server: Server) -> None:
    """Requests that do not end where segments do."""
    _program(lab, server, "batches")


def short(lab: Lab, server: Server) -> None:
    """A connection for each request."""
    words = ("-q", "-n", str(SHORT_CONNECTIONS), "-c", "50")
    run(lab, "ab", *words, f"http://{server.address}/small")


def upload(lab: Lab, server: Server) -> None:
    """100 MB in one request."""
    bulk = f"@{server.directory}/www/bulk"
    words = ("-sf", "-o", "/dev/null", "-H", "Expect:", "--data-binary", bulk)
    run(lab, "curl", *words, f"http://{server.address}/store")


def download(lab: Lab, server: Server) -> None:
    """100 MB in one answer."""
    run(lab, "curl", "-sf", "-o", "/dev/null", f"http://{server.address}/bulk")
