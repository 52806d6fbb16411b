"""Real servers, live: the target received production's bytes, exactly, and ends in the same state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import oracle_clients as clients
from tests.e2e.bed import HERE
from tests.e2e.oracle_bed import Bed, clean_lab, needed
from tests.e2e.oracle_servers import (
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
    from collections.abc import Iterator

    from tests.e2e.oracle_servers import Server

pytestmark = needed

WRK_CONNECTIONS = 500
WRK_SECONDS = 60
WRK_PAUSE_MS = 100  # about 5,000 requests a second: what any machine can mirror and replay meanwhile
BULK_BYTES = 100 << 20


@pytest.fixture(scope="module")
def _lab() -> Iterator[None]:
    with clean_lab():
        yield


@pytest.fixture
def oracle_bed(_lab: None) -> Iterator[Bed]:
    """A bed without servers yet."""
    bed = Bed()
    try:
        yield bed
    finally:
        bed.close()


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
    clients.redis(oracle_bed.lab, production)
    assert int(same_state(oracle_bed, production, target)[0]) > 10000
    oracle_bed.assert_exact(7 * 50)


@pytest.mark.parametrize("longest", [50, 4000])
def test_memcached_with_pipelining(oracle_bed: Bed, longest: int) -> None:
    """Sixteen requests in one write: in one segment, or in so many that answers come before the end."""
    production, target = oracle_bed.serve(Memcached)
    clients.memcached(oracle_bed.lab, production, longest)
    same_state(oracle_bed, production, target)
    oracle_bed.assert_exact(16)


def test_target_that_answers_earlier_than_production(oracle_bed: Bed) -> None:
    """Answers overlap requests, and production's come late: nothing more comes before the next segment."""
    production, target = oracle_bed.serve(Batches)
    clients.batches(oracle_bed.lab, production)
    same_state(oracle_bed, production, target)
    oracle_bed.assert_exact(1)


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench(oracle_bed: Bed, protocol: str) -> None:
    production, target = oracle_bed.serve(Postgres)
    clients.postgres(oracle_bed.lab, production, protocol)
    history = same_state(oracle_bed, production, target)[-1]
    assert history.startswith("1200|")
    oracle_bed.assert_exact(8)


def test_mariadb_client(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Mariadb)
    clients.mariadb(oracle_bed.lab, production)
    assert same_state(oracle_bed, production, target).startswith(
        f"{clients.ORDERS * clients.ORDER_WORKERS}\t"
    )
    oracle_bed.assert_exact(clients.ORDER_WORKERS)


def test_wrk_with_500_kept_connections(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Nginx, record=False)
    words = ("-t", "2", "-c", str(WRK_CONNECTIONS), "-d", str(WRK_SECONDS))
    url, paced = f"http://{production.address}/small", ("-s", str(HERE / "paced.lua"))
    clients.run(oracle_bed.lab, "wrk", *words, *paced, url, "--", str(WRK_PAUSE_MS))
    oracle_bed.settle()
    oracle_bed.finish()
    for server in (production, target):
        server.stop()
    asked = production.state()
    assert len(asked) > WRK_CONNECTIONS * WRK_SECONDS
    assert len(target.state()) == len(asked)
    assert target.state() == asked


def test_http_kept_chunked_and_pipelined(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Nginx)
    clients.http(oracle_bed.lab, production)
    same_log(oracle_bed, production, target)
    conversations = oracle_bed.assert_exact(2)
    assert any(b"Transfer-Encoding: chunked" in each.asked.data for each in conversations)
    assert any(b"Transfer-Encoding: chunked" in each.answered.data for each in conversations)


def test_http2_without_tls(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Http2)
    clients.http2(oracle_bed.lab, production)
    same_log(oracle_bed, production, target)
    oracle_bed.assert_exact(4)


def test_smtp(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Smtp)
    clients.smtp(oracle_bed.lab, production)
    assert len(same_state(oracle_bed, production, target)) == 8
    oracle_bed.assert_exact(8)


def test_websocket_with_both_sides_talking(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Websocket)
    clients.websocket(oracle_bed.lab, production)
    assert len(same_state(oracle_bed, production, target)) == 16
    oracle_bed.assert_exact(16)


def test_ten_thousand_short_connections(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Nginx)
    clients.short(oracle_bed.lab, production)
    same_log(oracle_bed, production, target)
    oracle_bed.assert_exact(clients.SHORT_CONNECTIONS)


def test_bulk_upload(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Nginx)
    clients.upload(oracle_bed.lab, production)
    same_log(oracle_bed, production, target)
    conversations = oracle_bed.assert_exact()
    assert len(conversations[0].asked.data) > BULK_BYTES


def test_bulk_download(oracle_bed: Bed) -> None:
    production, target = oracle_bed.serve(Nginx)
    clients.download(oracle_bed.lab, production)
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
