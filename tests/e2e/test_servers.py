"""Real servers, live: the target received production's bytes, exactly, and ends in the same state."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.oracle_servers import (
    PROGRAMS,
    Batches,
    Http2,
    Mariadb,
    Memcached,
    Nginx,
    Postgres,
    Redis,
    Smtp,
    Websocket,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.oracle_bed import Bed
    from tests.e2e.oracle_servers import Server

pytest_plugins = ("tests.e2e.oracle_bed",)

NEEDED = ("redis-server", "redis-benchmark", "memcached", "mariadbd", "pgbench", "h2load")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, NEEDED)), reason=f"not installed: one of {', '.join(NEEDED)}"
)

CLIENT_TIMEOUT_S = 120.0
WRK_CONNECTIONS = 500
WRK_SECONDS = 8
SHORT_CONNECTIONS = 10_000
BULK_BYTES = 100 << 20
ORDERS = 250
ORDER_WORKERS = 8


def client(bed: Bed, *argv: str) -> str:
    """Run a client program to its end."""
    return bed.lab.run("client", argv, timeout=CLIENT_TIMEOUT_S).stdout


def program(bed: Bed, server: Server, mode: str, *more: str) -> None:
    """Run one of our own clients to its end."""
    client(bed, sys.executable, PROGRAMS, mode, server.address, str(server.port), *more)


def same_state(bed: Bed, production: Server, target: Server) -> Any:
    """Settle, stop the appliance: the servers must agree, and not on nothing. Their state."""
    bed.settle()
    bed.finish()
    state = production.state()
    assert state
    assert target.state() == state
    return state


def test_redis_benchmark_with_pipelining(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Redis)
    words = ("-P", "16", "-c", "50", "-n", "20000", "-r", "100000", "-q", "-d", "64")
    client(
        oracle_bed,
        "redis-benchmark",
        "-h",
        production.address,
        *words,
        "-t",
        "set,get,incr,lpush,sadd,hset,mset",
    )
    assert int(same_state(oracle_bed, production, target)[0]) > 10000
    oracle_bed.assert_exact(7 * 50)


def test_memcached_with_pipelining(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Memcached)
    program(oracle_bed, production, "memcached", "50")
    same_state(oracle_bed, production, target)
    oracle_bed.assert_exact(17)


@pytest.mark.xfail(strict=True, reason="a session waits where the target answered before production did")
def test_target_that_answers_earlier_than_production(oracle_bed: Bed) -> None:
    """Answers overlap requests, and production's come late: nothing more comes before the next segment."""
    production, target = oracle_bed.serve(Batches)
    program(oracle_bed, production, "batches")
    same_state(oracle_bed, production, target)
    oracle_bed.assert_exact(1)


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench(oracle_bed: Bed, protocol: str) -> None:
    production, target = oracle_bed.serve(Postgres)
    words = ("-h", production.address, "-U", "postgres", "-n", "-c", "8", "-t", "150", "-M", protocol)
    client(oracle_bed, "pgbench", *words, "postgres")
    history = same_state(oracle_bed, production, target)[-1]
    assert history.startswith("1200|")
    oracle_bed.assert_exact(8)


def test_mariadb_client(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Mariadb)
    with ThreadPoolExecutor(ORDER_WORKERS) as pool:
        list(pool.map(lambda worker: _orders(oracle_bed, production, worker), range(ORDER_WORKERS)))
    assert same_state(oracle_bed, production, target).startswith(f"{ORDERS * ORDER_WORKERS}\t")
    oracle_bed.assert_exact(ORDER_WORKERS)


def _orders(bed: Bed, production: Server, worker: int) -> None:
    insert = "insert into orders (worker, number, amount, word) values ({}, {}, {}, repeat('{}', {}));"
    lines = [insert.format(worker, n, n * 7 % 100, chr(97 + n % 26), n * 8) for n in range(ORDERS)]
    lines[100:100] = [
        "select * from orders limit 50;",
        "begin;",
        "update orders set amount = amount;",
        "rollback;",
    ]
    script = bed.directory / f"orders-{worker}"
    script.write_text("\n".join(lines))
    where = ("--no-defaults", "-h", production.address, "-u", "root", "--skip-ssl", "shop")
    client(bed, "mariadb", *where, "-e", f"source {script}")


def test_wrk_with_500_kept_connections(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Nginx, record=False)
    argv = ("wrk", "-t", "2", "-c", str(WRK_CONNECTIONS), "-d", str(WRK_SECONDS))
    client(oracle_bed, *argv, f"http://{production.address}/small")
    oracle_bed.settle()
    oracle_bed.finish()
    for server in (production, target):
        server.stop()
    asked = production.state()
    assert len(asked) > 10000
    assert len(target.state()) == len(asked)
    assert target.state() == asked


def test_http_kept_chunked_and_pipelined(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Nginx)
    body = oracle_bed.directory / "body"
    body.write_bytes(bytes(range(256)) * 1000)
    client(oracle_bed, "curl", *_curl(production, str(body)))
    program(oracle_bed, production, "pipeline", "200")
    same_log(oracle_bed, production, target)
    conversations = oracle_bed.assert_exact(2)
    assert any(b"Transfer-Encoding: chunked" in each.asked.data for each in conversations)
    assert any(b"Transfer-Encoding: chunked" in each.answered.data for each in conversations)


def _curl(server: Server, body: str) -> Sequence[str]:
    words: list[str] = []
    kinds = (
        ("-o", "/dev/null", f"http://{server.address}/page"),
        ("-o", "/dev/null", "--compressed", f"http://{server.address}/large"),
        ("-o", "/dev/null", "--data-binary", f"@{body}", f"http://{server.address}/store"),
        ("-o", "/dev/null", "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{body}",
         f"http://{server.address}/store"),
    )  # fmt: skip
    for number in range(60):
        words += (*(("--next",) if number else ()), "-sf", *kinds[number % len(kinds)])
    return words


def test_http2_without_tls(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Http2)
    urls = [f"http://{production.address}/{name}" for name in ("small", "page", "large", "page")]
    client(oracle_bed, "h2load", "-n", "400", "-c", "4", "-m", "16", *urls)
    same_log(oracle_bed, production, target)
    oracle_bed.assert_exact(4)


def test_smtp(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Smtp)
    program(oracle_bed, production, "smtp")
    assert len(same_state(oracle_bed, production, target)) == 8
    oracle_bed.assert_exact(8)


def test_websocket_with_both_sides_talking(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Websocket)
    program(oracle_bed, production, "websocket")
    assert len(same_state(oracle_bed, production, target)) == 16
    oracle_bed.assert_exact(16)


def test_ten_thousand_short_connections(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Nginx)
    count = str(SHORT_CONNECTIONS)
    client(oracle_bed, "ab", "-q", "-n", count, "-c", "50", f"http://{production.address}/small")
    same_log(oracle_bed, production, target)
    oracle_bed.assert_exact(SHORT_CONNECTIONS)


def test_bulk_upload(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Nginx)
    bulk = production.directory / "www" / "bulk"
    argv = ("curl", "-sf", "-o", "/dev/null", "-H", "Expect:", "--data-binary", f"@{bulk}")
    client(oracle_bed, *argv, f"http://{production.address}/store")
    same_log(oracle_bed, production, target)
    conversations = oracle_bed.assert_exact()
    assert len(conversations[0].asked.data) > BULK_BYTES


def test_bulk_download(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Nginx)
    client(oracle_bed, "curl", "-sf", "-o", "/dev/null", f"http://{production.address}/bulk")
    same_log(oracle_bed, production, target)
    conversations = oracle_bed.assert_exact()
    assert len(conversations[0].answered.data) > BULK_BYTES


def same_log(bed: Bed, production: Server, target: Server) -> None:
    """The same, for nginx, whose log is whole only at its end."""
    bed.settle()
    bed.finish()
    for server in (production, target):
        server.stop()
    asked = production.state()
    assert asked
    assert target.state() == asked
